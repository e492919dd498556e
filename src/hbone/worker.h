// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "hbone/contexts.h"
#include "hbone/engine.h"
#include "hbone/listener.h"
#include "hbone/mesh_view.h"
#include "hbone/pod.h"
#include "hbone/pool.h"
#include "hbone/tunnel.h"
#include "hbone/workshop.h"
#include "io/loop.h"

namespace nodeward::hbone {

// One thread of the data path: its loop and everything on it. What is not
// marked otherwise belongs to that thread.
class Worker {
 public:
  // `options`, `store` and `flows` outlive it.
  static base::StatusOr<std::unique_ptr<Worker>> Create(
      int index, const Options* options, const pki::CredentialStore* store,
      observe::FlowSink* flows);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Any thread. All workers, this one too: to whom a connection may be given.
  // Before Start.
  void SetPeers(std::vector<Worker*> peers) { peers_ = std::move(peers); }
  void Start();
  // Any other thread: resets everything that is open and ends the thread.
  void Stop();
  void Post(std::function<void()> work) { loop_->Post(std::move(work)); }
  int connections() const { return connections_.load(); }
  int tunnels() const { return tunnels_.load(); }
  uint64_t buffered_bytes() const { return workshop_->blocks().held(); }

  void SetMesh(std::shared_ptr<const MeshView> mesh);
  void CredentialsChanged();
  void AddPod(std::shared_ptr<SharedPod> shared,
              std::shared_ptr<PodListeners> listeners);
  void Listen(const SharedPod* shared);
  void StopListening();
  void DrainPod(const std::string& uid, std::function<void()> drained);
  void KillPod(const std::string& uid);
  // Everything stops accepting; `drained` when all pods are empty.
  void Drain(std::function<void()> drained);

  // Calls `work` once after a while.
  void After(absl::Duration delay, std::function<void()> work);

  // Of members and listeners.
  void Accepted(Pod* pod, Listener::Kind kind, base::Fd fd,
                const base::Endpoint& peer);
  void Count(const Member& member, int change);
  // A draining pod has lost its last member.
  void PodEmpty(Pod* pod);
  Workshop& workshop() { return *workshop_; }
  Contexts& contexts() { return contexts_; }
  Pool& pool() { return *pool_; }
  const Options& options() const { return *options_; }
  Tunnel::Options TunnelOptions() const;
  // Null before the first snapshot.
  const MeshView* mesh() const { return mesh_.get(); }
  observe::FlowSink* flows() { return flows_; }
  uint64_t NextFlowId();
  uint64_t Random();
  bool InMeshCidrs(const base::IpAddress& address) const;
  absl::Duration now() const { return loop_->now(); }

 private:
  Worker(int index, const Options* options, const pki::CredentialStore* store,
         observe::FlowSink* flows, std::unique_ptr<io::Loop> loop);
  void Serve(Pod* pod, Listener::Kind kind, base::Fd fd,
             const base::Endpoint& peer);
  void DrainWhere(const std::function<bool(const Pod&)>& chosen,
                  std::function<void()> drained);
  Worker* LeastLoaded();
  void ForEachPod(const std::function<void(Pod&)>& visit);

  const int index_;
  const Options* const options_;
  observe::FlowSink* const flows_;
  std::vector<Worker*> peers_;
  std::atomic<int> connections_{0};
  std::atomic<int> tunnels_{0};

  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<Workshop> workshop_;
  Contexts contexts_;
  std::unique_ptr<Pool> pool_;
  std::shared_ptr<const MeshView> mesh_;
  // A pod that is draining may have a successor with the same UID.
  std::vector<std::unique_ptr<Pod>> pods_;
  std::vector<std::unique_ptr<io::Timer>> timers_;  // After's
  uint64_t next_flow_ = 0;
  uint64_t random_;
  std::thread thread_;
};

}  // namespace nodeward::hbone
