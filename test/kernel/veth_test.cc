// SPDX-License-Identifier: Apache-2.0
#include "kernel/veth.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/text.h"
#include "kernel/netns_fixture.h"
#include "kernel/pin.h"
#include "kernel/stream_fixture.h"

namespace nodeward::kernel {
namespace {

using test::At;
using ::testing::IsEmpty;

// A program that returns `verdict` whatever comes.
base::Fd Always(int verdict) {
  bpf_insn instructions[2] = {};
  instructions[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  instructions[0].imm = verdict;
  instructions[1].code = BPF_JMP | BPF_EXIT;
  return base::Fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "always", "GPL",
                                instructions, 2, nullptr));
}

// Both ways of hooking the veth of a pod; parameter: tcx.
class VethTest : public ::testing::TestWithParam<bool> {
 protected:
  base::Status Attach(const base::Fd& program) {
    return hook_.Attach(program.get(), GetParam());
  }
  // Do packets get through to the pod?
  bool Passes() {
    base::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int once = 1;  // one repetition is enough to be sure
    setsockopt(fd.get(), IPPROTO_TCP, TCP_SYNCNT, &once, sizeof(once));
    return test::Connect(fd.get(), {pod_.v4, 80}) == 0;
  }

  test::Sandbox sandbox_;
  test::Node node_;
  test::InNetns inside_{node_.netns()};
  test::Pod pod_ = node_.AddPod(10);
  base::Fd app_ = test::Listen(pod_.netns, At("0.0.0.0:80"));
  VethHook hook_{sandbox_.bpf_dir(), pod_.ifindex};
  const base::Fd next_ = Always(-1), drop_ = Always(2);
};

TEST_P(VethTest, AttachesReplacesAndDetaches) {
  ASSERT_TRUE(Attach(next_).ok());
  EXPECT_TRUE(Passes());
  std::vector<std::string> pins = ListDirectory(sandbox_.bpf_dir());
  EXPECT_EQ(pins.size(), 1u);
  EXPECT_EQ(VethHook::InterfaceOf(pins[0]), pod_.ifindex);
  ASSERT_TRUE(Attach(drop_).ok());
  EXPECT_FALSE(Passes());
  EXPECT_EQ(ListDirectory(sandbox_.bpf_dir()), pins);
  ASSERT_TRUE(hook_.Detach().ok());
  EXPECT_TRUE(Passes());
  EXPECT_THAT(ListDirectory(sandbox_.bpf_dir()), IsEmpty());
  EXPECT_TRUE(hook_.Detach().ok());
}

TEST_P(VethTest, RunsBeforeWhatWasThere) {
  // Another's program that lets everything pass for good (TC_ACT_OK): behind it
  // ours would never run.
  base::Fd others = Always(0);
  ASSERT_TRUE(hook_.Attach(others.get(), GetParam()).ok());
  if (GetParam()) {
    // Our pin would be found and updated; the other is somebody else's.
    ASSERT_TRUE(RenamePin(base::StrCat(sandbox_.bpf_dir(), "/", pod_.ifindex),
                          sandbox_.bpf_dir() + "/others")
                    .ok());
  } else {
    // clsact stays behind, so the other's filter finds its place.
    ASSERT_TRUE(hook_.Detach().ok());
    LIBBPF_OPTS(bpf_tc_hook, hook);
    hook.ifindex = pod_.ifindex;
    hook.attach_point = BPF_TC_EGRESS;
    LIBBPF_OPTS(bpf_tc_opts, filter);
    filter.handle = 1;
    filter.priority = 2;
    filter.prog_fd = others.get();
    ASSERT_EQ(bpf_tc_attach(&hook, &filter), 0);
  }
  ASSERT_TRUE(Attach(drop_).ok());
  EXPECT_FALSE(Passes());
}

TEST_P(VethTest, InterfaceThatIsGoneCanBeDetached) {
  ASSERT_TRUE(Attach(next_).ok());
  node_.netns().Sh(base::StrCat("ip link del ", pod_.veth));
  EXPECT_TRUE(hook_.Detach().ok());
  EXPECT_THAT(ListDirectory(sandbox_.bpf_dir()), IsEmpty());
}

TEST_P(VethTest, UnknownInterfaceIsAnError) {
  VethHook nowhere(sandbox_.bpf_dir(), 999999);
  base::Status status = nowhere.Attach(next_.get(), GetParam());
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.ToString(), ::testing::HasSubstr("interface 999999"));
}

INSTANTIATE_TEST_SUITE_P(Hooks, VethTest, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool>& way) {
                           return way.param ? "Tcx" : "Clsact";
                         });

TEST(VethNameTest, InterfaceOfAName) {
  EXPECT_EQ(VethHook::InterfaceOf("12"), 12);
  EXPECT_EQ(VethHook::InterfaceOf("12-clsact"), 12);
  EXPECT_EQ(VethHook::InterfaceOf("12-clsact-ingress"), 12);
  EXPECT_EQ(VethHook::WayOf("12-clsact"), VethHook::Way::kToPod);
  EXPECT_EQ(VethHook::WayOf("12-clsact-ingress"), VethHook::Way::kFromPod);
  EXPECT_EQ(VethHook::InterfaceOf("12-other"), 0);
  EXPECT_EQ(VethHook::InterfaceOf("lo"), 0);
  EXPECT_EQ(VethHook::InterfaceOf(""), 0);
}

}  // namespace
}  // namespace nodeward::kernel
