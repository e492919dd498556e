// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "hbone/engine.h"
#include "hbone/mesh_view.h"
#include "hbone/workshop.h"
#include "io/pod_network.h"
#include "model/workload.h"
#include "observe/flow.h"
#include "policy/verdict.h"

namespace nodeward::hbone {

class Listener;
class Pod;
class Worker;

// What all workers share of one enrolled pod.
struct SharedPod {
  std::string uid;
  std::shared_ptr<io::PodNetwork> network;
  std::atomic<int> inbound{0};  // open inbound connections, tunnels, streams
};

// Something of a pod that holds sockets: a connection, a stream, a tunnel.
// Owned by its pod on its worker.
class Member : public Retirable {
 public:
  // How it counts in the load and against the pod's bound.
  enum class Kind { kOutbound, kOutboundTunnel, kInbound, kInboundTunnel };

  Member(Worker* worker, Pod* pod, Kind kind);
  ~Member() override;

  // Resets every socket now and ends. Nothing when it has ended already.
  virtual void Abort(observe::Outcome outcome, std::string detail) = 0;
  // The snapshot has changed.
  virtual void Judge() {}
  // The credentials have changed.
  virtual void Retry() {}
  // Roots or revocation lists have: is the peer still one to speak to?
  virtual void CheckPeer() {}
  // The pod leaves or the agent stops: no new streams.
  virtual void Drain() {}

  bool left() const { return left_; }
  bool is_inbound() const {
    return kind_ == Kind::kInbound || kind_ == Kind::kInboundTunnel;
  }
  bool is_tunnel() const {
    return kind_ == Kind::kOutboundTunnel || kind_ == Kind::kInboundTunnel;
  }

 protected:
  // Ends the membership; destroyed at the end of the round.
  void Leave();

  Worker* const worker_;
  Pod* const pod_;

 private:
  friend class Pod;
  const Kind kind_;
  bool left_ = false;
  std::list<std::unique_ptr<Member>>::iterator place_;
};

// One enrolled pod as one worker sees it.
class Pod final : public Retirable {
 public:
  Pod(Worker* worker, std::shared_ptr<SharedPod> shared,
      std::shared_ptr<PodListeners> listeners);
  ~Pod() override;
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  const std::string& uid() const { return shared_->uid; }
  SharedPod& shared() { return *shared_; }
  const std::shared_ptr<SharedPod>& shared_pod() const { return shared_; }
  io::PodNetwork& network() { return *shared_->network; }
  // Null while the snapshot does not know the pod.
  const std::shared_ptr<const model::Workload>& workload() const {
    return workload_;
  }
  // That of workload(), for flows; null with it.
  std::shared_ptr<const model::Identity> identity() const {
    if (workload_ == nullptr) return nullptr;
    return {workload_, &*workload_->identity};
  }
  // What decides about connections into workload(). REQUIRES: that is not null.
  const policy::WorkloadPolicy& policy() const { return *policy_; }
  // Takes both from `mesh`.
  void Refresh(const MeshView& mesh);

  void Listen();
  // Lets go of the listening sockets; the last worker to do so closes them.
  void StopListening();
  // Stops listening and tells the members; `drained` is called when the last
  // has left, at once if there is none.
  void Drain(std::function<void()> drained);
  void AbortAll(observe::Outcome outcome, const std::string& detail);
  void ForEach(const std::function<void(Member&)>& visit);

  Member* Adopt(std::unique_ptr<Member> member);
  bool empty() const { return members_.empty(); }
  bool draining() const { return draining_; }

 private:
  friend class Member;
  std::unique_ptr<Member> Release(Member* member);

  Worker* const worker_;
  const std::shared_ptr<SharedPod> shared_;
  std::shared_ptr<PodListeners> sockets_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::shared_ptr<const model::Workload> workload_;
  std::shared_ptr<const policy::WorkloadPolicy> policy_;
  std::list<std::unique_ptr<Member>> members_;
  bool draining_ = false;
  std::vector<std::function<void()>> drained_;
};

}  // namespace nodeward::hbone
