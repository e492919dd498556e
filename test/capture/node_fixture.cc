// SPDX-License-Identifier: Apache-2.0
#include "capture/node_fixture.h"

#include <gtest/gtest.h>

namespace nodeward::capture {

model::Workload WorkloadOf(const TestPod& pod, const std::string& name) {
  model::Workload workload;
  workload.uid = "uid-" + name;
  workload.name = name;
  workload.name_space = "test";
  workload.node = "here";
  workload.ips = pod.ips();
  workload.membership = model::Membership::kEnabled;
  workload.membership_reason = "a label";
  workload.opted_in = true;
  workload.netns_path = pod.path();
  workload.ports = {{.name = "http", .port = 80, .traits = {}}};
  workload.probe_ports = {80};
  return workload;
}

model::SnapshotPtr SnapshotOf(std::vector<model::Workload> workloads) {
  auto snapshot = std::make_shared<model::Snapshot>();
  for (model::Workload& workload : workloads) {
    snapshot->workloads.push_back(
        std::make_shared<model::Workload>(std::move(workload)));
  }
  snapshot->Finish();
  return snapshot;
}

RunningEnroller::RunningEnroller(const Make& make, Options options) {
  options.node = "here";
  if (options.kubelet_cgroup.empty()) options.kubelet_cgroup = "auto";
  options.forbids_plaintext = [this](const model::Snapshot&,
                                     const model::Workload&,
                                     const base::IpAddress& source, uint16_t) {
    return strict && source != Ip("192.0.2.1");
  };
  thread_.Do([&] {
    auto made = make(thread_.loop(), std::move(options), &sink);
    ASSERT_TRUE(made.ok()) << made.status();
    enroller_ = *std::move(made);
  });
}

RunningEnroller::~RunningEnroller() { Stop(); }

void RunningEnroller::Stop() {
  thread_.Do([&] { enroller_.reset(); });
  for (const std::string& call : sink.Calls()) {
    if (call.starts_with("Add ")) sink.Kill(call.substr(4), [] {});
  }
  sink.Answer();
}

void RunningEnroller::Apply(std::vector<model::Workload> workloads) {
  thread_.Do([&] { enroller_->Apply(SnapshotOf(std::move(workloads))); });
}

PodStatus RunningEnroller::Status(const std::string& name) {
  PodStatus found;
  found.state = PodState::kSkipped;
  found.reason = "absent";
  thread_.Do([&] {
    const auto enrolled = enroller_->Enrolled();
    for (PodStatus& each : enroller_->status()) {
      const auto at = enrolled.find(each.uid);
      EXPECT_EQ(at != enrolled.end() && at->second,
                each.state == PodState::kEnrolled);
      EXPECT_EQ(at != enrolled.end() && !at->second,
                each.state == PodState::kSkipped);
      if (each.name == name) found = std::move(each);
    }
  });
  return found;
}

bool RunningEnroller::AwaitState(const std::string& name, PodState state) {
  return Await([&] { return Status(name).state == state; });
}

void RunningEnroller::With(const std::function<void(Enroller&)>& work) {
  thread_.Do([&] { work(*enroller_); });
}

Enroller::KubeletStatus RunningEnroller::Kubelet() {
  Enroller::KubeletStatus found;
  thread_.Do([&] { found = enroller_->kubelet(); });
  return found;
}

}  // namespace nodeward::capture
