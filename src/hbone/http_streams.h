// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/status.h"
#include "http/stream_gateway.h"
#include "io/socket.h"

namespace nodeward::hbone {

class HttpChannel;

// What an HttpChannel does when its client speaks HTTP/2; the functions are
// the channel's own of that name. All that the client sends is taken at once,
// for among it are the windows that let others go on: bodies wait in the
// gateway, which has given the client no larger window than that. Only while
// the application takes nothing at all does the client have to wait.
class HttpStreams final : private http::StreamGatewayUser {
 public:
  // How long a peer that was told the end may go on.
  static constexpr absl::Duration kLinger = absl::Seconds(30);

  // `channel` owns it. The client's preface is given here.
  static base::StatusOr<std::unique_ptr<HttpStreams>> Create(
      HttpChannel* channel);
  ~HttpStreams();

  // There is something to be read that is not in the socket.
  bool has_answer() const;
  bool in_head() const { return gateway_->in_head(); }
  io::Transfer Read(base::MutableByteSpan room);
  void Send(base::ByteSpan bytes);
  void Flush();
  void Finish();
  // Writes what there is for the application; Flush also tells what of the
  // client's bytes is done with.
  void FlushApplication();

 private:
  explicit HttpStreams(HttpChannel* channel) : channel_(channel) {}

  Ruling OnRequest(http::RequestHead* request) override;
  void OnBadRequest(const base::Status& why) override;
  std::string_view client_cert() override;

  // Frames for the client; how many bytes.
  size_t Produce(base::MutableByteSpan room);
  io::Transfer TellEnd();
  bool ends() const;
  void Write();
  // Keeps what is borrowed, and counts it.
  void Hold();
  void Wake();

  HttpChannel* const channel_;
  std::unique_ptr<http::StreamGateway> gateway_;
  std::string made_;  // for the client, more than there was room for
  size_t counted_ = 0;
  bool application_ended_ = false;
};

}  // namespace nodeward::hbone
