// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/fd.h"
#include "base/ip.h"
#include "hbone/channel.h"
#include "hbone/flow_record.h"
#include "hbone/pod.h"
#include "hbone/pool.h"
#include "hbone/relay.h"
#include "hbone/stream_relay.h"
#include "hbone/tap_point.h"
#include "hbone/tls_channel.h"
#include "io/loop.h"
#include "policy/destination.h"

namespace nodeward::hbone {

// A connection that an application of the pod makes, captured. Held back
// without a byte until its destination is known; then through a tunnel, under
// TLS as a DestinationRule says, or plaintext to what is not of the mesh. What
// fails before bytes flow is an RST.
class Outbound final : public Member,
                       public ChannelUser,
                       public StreamRelayUser,
                       public TunnelSeeker {
 public:
  static void Accept(Worker* worker, Pod* pod, base::Fd fd,
                     const base::Endpoint& peer);

  Outbound(Worker* worker, Pod* pod, const base::Endpoint& peer);
  ~Outbound() override;

  void Abort(observe::Outcome outcome, std::string detail) override;
  void Judge() override;
  void Retry() override;

 private:
  enum class State {
    kWaiting,  // for the destination or the certificate to be known
    kSeeking,  // for a tunnel
    kAsking,   // for the answer to the CONNECT
    kDialing,  // no tunnel: for the connect, and the TLS handshake
    kRelaying,
    kOver,
  };

  void Start(base::Fd fd);
  policy::Route RouteAgain() const;
  void Decide();
  // Waits for what `missing` says, for `limit` since the beginning.
  void Wait(absl::Duration limit, observe::Outcome outcome,
            std::string missing);
  void SeekTunnel();
  void Dial();
  // The channel to the destination, not connected yet; null: what there is not
  // has been told, and this is over.
  std::unique_ptr<Channel> MakeUpstream();
  void OnUpstreamBroken();
  void OnTlsFailure(const base::Status& why);
  // False: not yet, or this is over.
  bool ShakeHands();
  void Relaying();
  void JudgeTunnel();
  void JudgeDirect();

  void OnChannel() override;
  void OnTunnel(ClientTunnel* tunnel) override;
  void OnNoTunnel(observe::Outcome outcome, std::string detail) override;
  void OnStreamResponse(int status) override;
  void OnRelayEnd(RelayEnd end) override;
  void OnRefusedStream();
  // The endpoint does not take the connection: begins anew with another one of
  // the service. False: there is none.
  bool TryAnother();
  void Proceed();
  void OnDeadline();

  void LeaveTunnel();
  void Finish(observe::Outcome outcome, std::string detail, bool reset);

  State state_ = State::kWaiting;
  FlowRecord record_;
  TcpChannel application_;
  std::unique_ptr<TapPoint> tap_;
  std::optional<StreamRelay> stream_;  // kTunnel
  std::unique_ptr<Channel> upstream_;  // kPlaintext, kOriginate
  TlsChannel* tls_ = nullptr;          // upstream_ with kOriginate
  std::unique_ptr<Relay> relay_;       // with upstream_
  ClientTunnel* tunnel_ = nullptr;     // holds our stream
  ClientTunnel* sought_ = nullptr;     // is being set up for us
  policy::Route route_;
  base::Endpoint destination_;
  const uint64_t pick_;
  std::vector<base::Endpoint> tried_;             // endpoints that refused
  std::vector<std::unique_ptr<Channel>> closed_;  // to them; may be in a call
  int seeking_ = 0;                               // counts SeekTunnel
  bool retried_ = false;
  io::Timer deadline_;
  observe::Outcome deadline_outcome_ = observe::Outcome::kNoRoute;
  std::string deadline_detail_;
};

}  // namespace nodeward::hbone
