// SPDX-License-Identifier: Apache-2.0
#include "capture/pod_capture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "capture/fake_hooks.h"
#include "capture/node_fixture.h"
#include "capture/steering.h"

namespace nodeward::capture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PodCaptureTest : public testing::Test {
 protected:
  PodCaptureTest() : pod_(netns_, {}), hooks_(std::make_shared<FakeHooks>()) {
    node_.home = netns_.ptr();
    node_.hooks = hooks_;
    node_.sink = &sink_;
    node_.forbids_plaintext = [this](const auto&, const auto&, const auto&,
                                     uint16_t) { return strict_; };
    workload_ = WorkloadOf(pod_, "a");
    capture_.emplace(node_, "a", pod_.ptr());
  }
  base::Status Enrol() { return capture_->Enrol(workload_, *snapshot_); }
  std::vector<std::string> Steps() {
    return hooks_->With([&] { return std::exchange(hooks_->steps, {}); });
  }
  bool Steered() { return *HasSteering(pod_.netns(), netns_.netns()); }

  TestNode netns_;
  TestPod pod_;
  std::shared_ptr<FakeHooks> hooks_;
  FakeSink sink_;
  NodeContext node_;
  model::Workload workload_;
  model::SnapshotPtr snapshot_ = SnapshotOf({});
  bool strict_ = false;
  std::optional<PodCapture> capture_;
};

TEST_F(PodCaptureTest, InboundFirstOutboundLast) {
  const base::Status status = Enrol();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(Steps(),
              ElementsAre("AttachLookup", "SetListenerHbone", "SetListener4",
                          "SetListener6", "SetProbePorts", "AttachProbe",
                          "EnableConnect"));
  EXPECT_TRUE(capture_->enrolled());
  EXPECT_TRUE(Steered());
  EXPECT_EQ(capture_->host_interface(), "v2");
  EXPECT_EQ(capture_->Notes(), "");
  const uint64_t cookie = pod_.netns().cookie();
  EXPECT_EQ(hooks_->connects[cookie], "10.77.0.2 fd77::2");
  EXPECT_THAT(hooks_->probe_ports[cookie],
              ElementsAre(At("10.77.0.2:80"), At("[fd77::2]:80")));
  EXPECT_EQ(node_.listeners.size(), 5u);
}

TEST_F(PodCaptureTest, UpdateWritesOnlyWhatChanged) {
  ASSERT_TRUE(Enrol().ok());
  Steps();
  ASSERT_TRUE(capture_->Update(workload_, *snapshot_).ok());
  EXPECT_THAT(Steps(), IsEmpty());
  workload_.probe_ports = {80, 81};
  ASSERT_TRUE(capture_->Update(workload_, *snapshot_).ok());
  EXPECT_THAT(Steps(), ElementsAre("SetProbePorts"));
  workload_.ips = {pod_.v4()};
  ASSERT_TRUE(capture_->Update(workload_, *snapshot_).ok());
  EXPECT_THAT(Steps(), ElementsAre("SetProbePorts", "EnableConnect"));
  EXPECT_EQ(hooks_->connects[pod_.netns().cookie()], "10.77.0.2 -");
}

TEST_F(PodCaptureTest, BeforeTheEngineHasItEachStepMayFailAndBeTriedAgain) {
  for (const char* step :
       {"AttachLookup", "SetListenerHbone", "SetListener4", "SetListener6"}) {
    hooks_->Fail(step);
    const base::Status status = Enrol();
    EXPECT_THAT(std::string(status.message()), HasSubstr(step));
    EXPECT_FALSE(capture_->enrolled()) << step;
    EXPECT_THAT(sink_.Calls(), IsEmpty()) << step;
    EXPECT_THAT(node_.listeners, IsEmpty()) << step;
    EXPECT_TRUE(hooks_->connects.empty()) << step;
    hooks_->Fail(step, false);
  }
  EXPECT_TRUE(Enrol().ok());
}

TEST_F(PodCaptureTest, WhatFailsLaterIsMadeUpForByUpdate) {
  hooks_->Fail("EnableConnect");
  EXPECT_FALSE(Enrol().ok());
  EXPECT_TRUE(capture_->enrolled());
  EXPECT_FALSE(capture_->Update(workload_, *snapshot_).ok());
  hooks_->Fail("EnableConnect", false);
  EXPECT_TRUE(capture_->Update(workload_, *snapshot_).ok());
  EXPECT_EQ(hooks_->connects.size(), 1u);
}

TEST_F(PodCaptureTest, WithoutProbeHookThePodIsEnrolledWithANote) {
  hooks_->Fail("AttachProbe");
  ASSERT_TRUE(Enrol().ok());
  EXPECT_FALSE(capture_->probe_hook());
  EXPECT_THAT(capture_->Notes(), HasSubstr("probes are refused"));
  hooks_->Fail("AttachProbe", false);
  ASSERT_TRUE(capture_->Update(workload_, *snapshot_).ok());
  EXPECT_TRUE(capture_->probe_hook());
  EXPECT_EQ(capture_->Notes(), "");
}

TEST_F(PodCaptureTest, GuardsWhoMustSpeakMutualTls) {
  workload_.requires_mtls = true;
  ASSERT_TRUE(Enrol().ok());
  const uint64_t cookie = pod_.netns().cookie();
  EXPECT_EQ(hooks_->guards[cookie], hooks_->probes[cookie].first);
  // Before the pod is captured: closed, not open.
  const std::vector<std::string> steps = Steps();
  EXPECT_THAT(std::vector(steps.end() - 2, steps.end()),
              ElementsAre("AttachGuard", "EnableConnect"));
  ASSERT_TRUE(capture_->Update(workload_, *snapshot_).ok());
  EXPECT_THAT(Steps(), IsEmpty());
  workload_.requires_mtls = false;
  ASSERT_TRUE(capture_->Update(workload_, *snapshot_).ok());
  EXPECT_THAT(Steps(), ElementsAre("DetachGuard"));
  workload_.requires_mtls = true;
  ASSERT_TRUE(capture_->Update(workload_, *snapshot_).ok());
  EXPECT_THAT(Steps(), ElementsAre("AttachGuard"));
  capture_->Drain([] {});
  EXPECT_THAT(Steps(),
              ElementsAre("DisableConnect", "DetachGuard", "DetachLookup"));
}

TEST_F(PodCaptureTest, SealedAndGuarded) {
  workload_.requires_mtls = true;
  ASSERT_TRUE(capture_->Seal(workload_, *snapshot_).ok());
  EXPECT_TRUE(hooks_->guards.contains(pod_.netns().cookie()));
  capture_->Undo();
  EXPECT_TRUE(hooks_->guards.empty());
}

TEST_F(PodCaptureTest, AGuardOfAFormerAgentComesOff) {
  hooks_->guards[pod_.netns().cookie()] = 1;
  ASSERT_TRUE(Enrol().ok());
  EXPECT_TRUE(hooks_->guards.empty());
}

TEST_F(PodCaptureTest, AMissingGuardIsAFailure) {
  workload_.requires_mtls = true;
  hooks_->Fail("AttachGuard");
  EXPECT_THAT(std::string(Enrol().message()), HasSubstr("AttachGuard"));
  EXPECT_TRUE(capture_->enrolled());
  EXPECT_EQ(hooks_->connects.size(), 1u);
  hooks_->Fail("AttachGuard", false);
  EXPECT_TRUE(capture_->Update(workload_, *snapshot_).ok());
  // Nor is there one where the host's end is not found.
  TestPod other(netns_, {.number = 5});
  PodCapture capture(node_, "other", other.ptr());
  model::Workload lost = WorkloadOf(other, "other");
  lost.requires_mtls = true;
  hooks_->Fail("AttachProbe");
  const base::Status status = capture.Enrol(lost, *snapshot_);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("must speak mutual TLS are not held"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("AttachProbe"));
}

TEST_F(PodCaptureTest, SealClosesInAndOutButNotToProbes) {
  const base::Fd listener = pod_.Listen(At("0.0.0.0:80"));
  TestPod other(netns_, {.number = 3});
  const base::Fd client = other.Connect(At("10.77.0.2:80"));
  strict_ = true;
  ASSERT_TRUE(capture_->Seal(workload_, *snapshot_).ok());
  EXPECT_THAT(Steps(), ElementsAre("AttachLookup", "SetProbePorts",
                                   "AttachProbe(closed)", "EnableConnect"));
  EXPECT_EQ(ReadByte(client.get()), -1);
  ASSERT_TRUE(Enrol().ok());
  EXPECT_THAT(Steps(), ElementsAre("SetListenerHbone", "SetListener4",
                                   "SetListener6", "AttachProbe"));
}

TEST_F(PodCaptureTest, DrainTakesOutboundAwayFirstAndKeepsTheSteering) {
  sink_.hold_drains = true;
  ASSERT_TRUE(Enrol().ok());
  Steps();
  bool drained = false;
  capture_->Drain([&] { drained = true; });
  EXPECT_THAT(Steps(), ElementsAre("DisableConnect", "DetachLookup"));
  EXPECT_FALSE(drained);
  EXPECT_TRUE(Steered());
  sink_.Answer();
  EXPECT_TRUE(drained);
  capture_->EngineDone();
  capture_->Undo();
  EXPECT_FALSE(Steered());
  EXPECT_THAT(Steps(), ElementsAre("Forget"));
  EXPECT_THAT(node_.listeners, IsEmpty());
}

TEST_F(PodCaptureTest, KilledPodsOpenNothingAnyMore) {
  ASSERT_TRUE(Enrol().ok());
  const auto network = sink_.Find("a")->network;
  EXPECT_TRUE(network->OpenOutgoing(AF_INET).ok());
  capture_->Kill([] {});
  EXPECT_FALSE(network->OpenOutgoing(AF_INET).ok());
}

TEST_F(PodCaptureTest, PodWithoutIpv6SaysSoOnlyThatItIsRefused) {
  TestPod four(netns_, {.number = 4, .ipv6 = false});
  PodCapture capture(node_, "four", four.ptr());
  ASSERT_TRUE(capture.Enrol(WorkloadOf(four, "four"), *snapshot_).ok());
  EXPECT_THAT(Steps(),
              ElementsAre("AttachLookup", "SetListenerHbone", "SetListener4",
                          "SetProbePorts", "AttachProbe", "EnableConnect"));
  EXPECT_EQ(hooks_->connects[four.netns().cookie()], "10.77.0.4 -");
}

TEST_F(PodCaptureTest, AnyForbiddenPortCounts) {
  EXPECT_FALSE(ForbidsAnyPlaintext(node_, workload_, *snapshot_));
  node_.forbids_plaintext = [](const auto&, const auto&, const auto&,
                               uint16_t port) { return port == 80; };
  EXPECT_TRUE(ForbidsAnyPlaintext(node_, workload_, *snapshot_));
  node_.forbids_plaintext = [](const auto&, const auto&, const auto&,
                               uint16_t port) { return port != 80; };
  EXPECT_TRUE(ForbidsAnyPlaintext(node_, workload_, *snapshot_));
}

}  // namespace
}  // namespace nodeward::capture
