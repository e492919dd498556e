// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/status.h"
#include "http/gateway.h"
#include "http/head.h"
#include "http/link.h"
#include "http/pipe.h"

namespace nodeward::http {

class StreamGatewayUser {
 public:
  using Ruling = GatewayUser::Ruling;
  // May `request` go to the application? Its path may be replaced.
  virtual Ruling OnRequest(RequestHead* request) = 0;
  // A request, or the connection, was refused for its form.
  virtual void OnBadRequest(const base::Status& why) = 0;
  // The value of XFCC; empty: there is none.
  virtual std::string_view client_cert() = 0;

 protected:
  ~StreamGatewayUser() = default;
};

// HTTP/2 (prior knowledge) between one client and one application, without
// sockets: ended on each side and made anew on the other. Each request is
// judged and rewritten on its own; one that is not forwarded is answered here
// and leaves the others alone. What the application has not taken of a body,
// the client may not send twice (and the other way round): at most one stream's
// window waits for each stream, one connection's window for all. A side that
// is not whole (GOAWAY, a reset, an end) is told to the other in its own terms.
class StreamGateway {
 public:
  // So much of a denied request's body is read before the stream is reset.
  static constexpr uint64_t kMaxDrained = Gateway::kMaxDrained;
  // What a client begins with (RFC 9113 section 3.4).
  static constexpr std::string_view kPreface =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

  static base::StatusOr<std::unique_ptr<StreamGateway>> Create(
      StreamGatewayUser* user);
  ~StreamGateway();
  StreamGateway(const StreamGateway&) = delete;
  StreamGateway& operator=(const StreamGateway&) = delete;

  // All bytes are taken. They are borrowed until Hold.
  void FromClient(base::ByteSpan bytes, absl::Duration now);
  void FromApplication(base::ByteSpan bytes, absl::Duration now);
  void Hold();
  // Fills `room`, of Link::kMaxFrame at least; 0: nothing for now.
  size_t ToClient(base::MutableByteSpan room);
  size_t ToApplication(base::MutableByteSpan room);

  // The client says no more; what it has asked for as a whole is answered.
  void ClientEnded();
  // The application says no more: whose answer is not whole is told so.
  void ApplicationEnded();

  bool wants_client() const { return client_->wants_send(); }
  bool wants_application() const {
    return !application_over_ && application_->wants_send();
  }
  // The client is told no more; what it says goes nowhere.
  bool client_over() const { return client_->finished(); }
  bool application_over() const { return application_over_; }
  // Is a stream open? None in whose body anything waits, then.
  bool idle() const { return exchanges_.empty(); }
  // Part of a request's head has come.
  bool in_head() const { return client_->in_head(); }
  // The client should not be listened to while the application takes nothing.
  bool crowded() const { return application_->crowded(); }
  // Bytes of bodies that wait in here.
  size_t held() const { return held_; }

 private:
  struct Exchange;
  class ClientSide;
  class ApplicationSide;

  explicit StreamGateway(StreamGatewayUser* user);

  void Open(int32_t id, StreamHead head);
  void Forward(Exchange* exchange, const RequestHead& request);
  void Refuse(Exchange* exchange, const base::Status& why);
  // Answers without the application.
  void Reply(Exchange* exchange, int status, std::string_view body);
  void TakeTrailers(Exchange* exchange, std::vector<Header> fields);
  void TakeFromClient(int32_t id, Exchange* exchange, base::ByteSpan bytes);
  void TakeAnswer(Exchange* exchange, StreamHead head);
  void Fail(Exchange* exchange, uint32_t code);
  void ClientClosed(Exchange* exchange, uint32_t code);
  void ApplicationClosed(Exchange* exchange, uint32_t code);
  void DropUp(Exchange* exchange);
  void DropDown(Exchange* exchange);
  void Take(Pipe* pipe, base::MutableByteSpan room);
  void Touch(Exchange* exchange);
  // Frees what is over on both sides.
  void Sweep();
  void CheckApplication();

  StreamGatewayUser* const user_;
  std::unique_ptr<ClientSide> client_side_;
  std::unique_ptr<ApplicationSide> application_side_;
  std::unique_ptr<Link> client_;
  std::unique_ptr<Link> application_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> touched_;  // that borrow
  size_t held_ = 0;
  bool client_ended_ = false;
  bool client_failed_ = false;
  bool application_over_ = false;
  bool goaway_ = false;  // was said to the client
  bool sweep_ = false;
};

}  // namespace nodeward::http
