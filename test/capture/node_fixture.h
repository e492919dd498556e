// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "capture/enroller.h"
#include "capture/fake_sink.h"
#include "capture/loop_thread.h"
#include "capture/netns_fixture.h"
#include "model/snapshot.h"

namespace nodeward::capture {

// A pod of node "here" in the mesh, behind `pod`.
model::Workload WorkloadOf(const TestPod& pod, const std::string& name);
model::SnapshotPtr SnapshotOf(std::vector<model::Workload> workloads);

// An enroller at work on a loop of its own, and the engine's stand-in.
// `strict`: plaintext is forbidden, except from 192.0.2.1.
class RunningEnroller {
 public:
  using Make = std::function<base::StatusOr<std::unique_ptr<Enroller>>(
      io::Loop&, Options, PodSink*)>;
  RunningEnroller(const Make& make, Options options);
  ~RunningEnroller();

  void Apply(std::vector<model::Workload> workloads);
  // The status of the pod named so; state kSkipped and reason "absent" when
  // there is none.
  PodStatus Status(const std::string& name);
  bool AwaitState(const std::string& name, PodState state);
  Enroller::KubeletStatus Kubelet();
  // `work` with the enroller, on its loop.
  void With(const std::function<void(Enroller&)>& work);
  // Ends it as the agent's end would: sockets closed, kernel left as it is.
  void Stop();

  std::atomic<bool> strict{false};
  FakeSink sink;

 private:
  LoopThread thread_;
  std::unique_ptr<Enroller> enroller_;
};

}  // namespace nodeward::capture
