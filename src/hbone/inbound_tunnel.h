// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/ip.h"
#include "hbone/expiry.h"
#include "hbone/pod.h"
#include "hbone/tunnel.h"
#include "io/loop.h"
#include "model/identity.h"

namespace nodeward::hbone {

// The server side of a tunnel: a connection to the pod's port 15008.
class InboundTunnel final : public Member, public TunnelUser {
 public:
  static void Accept(Worker* worker, Pod* pod, base::Fd fd,
                     const base::Endpoint& peer);

  InboundTunnel(Worker* worker, Pod* pod, base::Fd fd,
                const base::Endpoint& peer);

  // The client pod, as the network names it.
  const base::Endpoint& peer() const { return peer_; }
  // Where the client connected to: the one address that it may ask for.
  const base::IpAddress& address() const { return local_.address; }
  // REQUIRES: it is up.
  const std::shared_ptr<const model::Identity>& identity() const {
    return tunnel_->peer();
  }
  Tunnel& tunnel() { return *tunnel_; }
  void AddStream();
  void StreamEnded();

  void Abort(observe::Outcome outcome, std::string detail) override;
  void Judge() override { Retry(); }
  void Retry() override;
  void CheckPeer() override;
  void Drain() override;

 private:
  void Begin();
  void MoveOn();
  void OnTunnelUp() override;
  void OnTunnelRequest(int32_t stream, http::Request request) override;
  void OnTunnelGoaway() override { Drain(); }
  void OnTunnelSettings() override {}
  void OnTunnelDown(const base::Status& why) override;
  void OnTimer();
  void Refuse(observe::Outcome outcome, std::string detail);

  const base::Endpoint peer_;
  base::Endpoint local_;
  base::Fd waiting_;  // before there is a certificate
  std::unique_ptr<Tunnel> tunnel_;
  io::Timer timer_;  // for the certificate, then without streams
  Expiry expiry_;
  int streams_ = 0;
  bool draining_ = false;
  bool was_up_ = false;
  observe::Outcome outcome_ = observe::Outcome::kTlsFailure;
};

}  // namespace nodeward::hbone
