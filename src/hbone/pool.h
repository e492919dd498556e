// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/ip.h"
#include "hbone/expiry.h"
#include "hbone/pod.h"
#include "hbone/tunnel.h"
#include "io/loop.h"
#include "model/identity.h"
#include "observe/flow.h"
#include "tls/context.h"

namespace nodeward::hbone {

class ClientTunnel;

// Who may share a tunnel: connections of one source pod, with one certificate
// of its own, to one destination pod with one identity.
struct TunnelKey {
  const Pod* source = nullptr;
  const tls::Context* context = nullptr;  // a renewed certificate is another
  base::IpAddress destination;
  model::Identity peer;
  std::string destination_uid;

  friend bool operator==(const TunnelKey&, const TunnelKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const TunnelKey& key) {
    return H::combine(std::move(h), key.source, key.context, key.destination,
                      key.peer, key.destination_uid);
  }
};

// Wants a stream.
class TunnelSeeker {
 public:
  // Take a stream now (ClientTunnel::AddStream), or let it be.
  virtual void OnTunnel(ClientTunnel* tunnel) = 0;
  virtual void OnNoTunnel(observe::Outcome outcome, std::string detail) = 0;

 protected:
  ~TunnelSeeker() = default;
};

// A tunnel to another pod's agent and who uses or awaits it.
class ClientTunnel final : public Member, public TunnelUser {
 public:
  ClientTunnel(Worker* worker, Pod* pod, TunnelKey key,
               std::shared_ptr<const tls::Context> context);

  base::Status Connect();

  const TunnelKey& key() const { return key_; }
  Tunnel& tunnel() { return *tunnel_; }
  bool HasRoom() const;
  // Calls OnTunnel, now or when it is up; or OnNoTunnel.
  void Take(TunnelSeeker* seeker);
  void Forsake(TunnelSeeker* seeker);
  void AddStream();
  void StreamEnded();
  // No new streams; closes with the last one.
  void Retire();
  // It could not even be begun.
  void Fail(const base::Status& why) { OnTunnelDown(why); }
  // "tunnel to 10.0.0.7:15008: <why>".
  std::string Describe(const base::Status& why) const;
  // Its certificate or bundle is no longer the one that is in force.
  bool outdated() const;

  void Abort(observe::Outcome outcome, std::string detail) override;
  void Judge() override;
  void CheckPeer() override;

 private:
  void OnTunnelUp() override;
  void OnTunnelRequest(int32_t, http::Request) override {}
  void OnTunnelGoaway() override { Retire(); }
  void OnTunnelSettings() override;
  void OnTunnelDown(const base::Status& why) override;
  std::string DescribeUnreached(const base::Status& why) const;
  void CloseWhenUnused();

  const TunnelKey key_;
  const std::shared_ptr<const tls::Context> context_;
  std::unique_ptr<Tunnel> tunnel_;
  std::vector<TunnelSeeker*> waiting_;
  io::Timer idle_;
  Expiry expiry_;
  uint32_t cap_;
  uint32_t streams_ = 0;
  bool retired_ = false;
  bool was_up_ = false;
  observe::Outcome outcome_ = observe::Outcome::kTunnelLost;
};

// The client tunnels of one worker.
class Pool {
 public:
  // Streams a tunnel, unless the peer announces fewer (as ztunnel's).
  static constexpr uint32_t kMaxStreams = 100;
  // Tunnels a key.
  static constexpr size_t kMaxTunnels = 1024;

  explicit Pool(Worker* worker) : worker_(worker) {}

  // Finds a tunnel with room, one that is being set up too, or opens one. The
  // tunnel that the seeker now waits for (until Forsake); null: it has been
  // answered already.
  ClientTunnel* Seek(Pod* source, TunnelKey key,
                     std::shared_ptr<const tls::Context> context,
                     TunnelSeeker* seeker);
  void Remove(ClientTunnel* tunnel);
  // Tunnels whose certificate has been replaced take no new streams.
  void Refresh();
  // The same for the tunnels of a pod that leaves.
  void Retire(const Pod* source);

 private:
  Worker* const worker_;
  absl::flat_hash_map<TunnelKey, std::vector<ClientTunnel*>> tunnels_;
};

}  // namespace nodeward::hbone
