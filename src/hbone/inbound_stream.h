// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/ip.h"
#include "hbone/channel.h"
#include "hbone/flow_record.h"
#include "hbone/http_channel.h"
#include "hbone/inbound_tunnel.h"
#include "hbone/pod.h"
#include "hbone/stream_relay.h"
#include "hbone/tap_point.h"
#include "http/session.h"
#include "io/loop.h"

namespace nodeward::hbone {

// How a CONNECT request is answered before anything else is looked at: the
// port it asks for, or the status that refuses it.
struct RequestVerdict {
  int status = 200;
  uint16_t port = 0;
  observe::Outcome outcome = observe::Outcome::kOpen;
  std::string reason;
};

// `address` is the local address of the tunnel: only it may be asked for, as
// IP:port. Anything else, names too, is 400; the mesh's own ports, and an
// address without a usable port, are 503.
RequestVerdict JudgeRequest(const http::Request& request,
                            const base::IpAddress& address);

// One connection that arrives through a tunnel: judged by policy before the
// application is dialled, and again when the policy changes.
class InboundStream final : public Member,
                            public ChannelUser,
                            public StreamRelayUser {
 public:
  static void Accept(Worker* worker, Pod* pod, InboundTunnel* tunnel,
                     int32_t stream, const http::Request& request);

  InboundStream(Worker* worker, Pod* pod, InboundTunnel* tunnel,
                int32_t stream);

  void Abort(observe::Outcome outcome, std::string detail) override;
  void Judge() override;

 private:
  void Start(const http::Request& request);
  bool Admitted(std::string* reason);
  void MakeApplication();
  void Dial();
  base::StatusOr<base::Fd> Connect();
  void OnChannel() override;
  void OnStreamResponse(int) override {}
  void OnRelayEnd(RelayEnd end) override;
  // Answers with `status` instead of a connection.
  void Refuse(int status, observe::Outcome outcome, std::string detail);
  void Finish(observe::Outcome outcome, std::string detail, bool reset);

  InboundTunnel* const tunnel_;
  const int32_t stream_;
  uint16_t port_ = 0;
  FlowRecord record_;
  std::unique_ptr<Channel> application_;
  HttpChannel* http_ = nullptr;  // application_, when it is one
  std::unique_ptr<TapPoint> tap_;
  std::optional<StreamRelay> relay_;
  io::Timer deadline_;
  bool open_ = false;
  bool over_ = false;
};

}  // namespace nodeward::hbone
