// SPDX-License-Identifier: Apache-2.0
#include "kernel/link.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/netns_fixture.h"
#include "kernel/pin.h"

namespace nodeward::kernel {
namespace {

using ::testing::HasSubstr;

base::Fd AllowConnect() {
  bpf_insn instructions[2] = {};
  instructions[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  instructions[0].imm = 1;
  instructions[1].code = BPF_JMP | BPF_EXIT;
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  options.expected_attach_type = BPF_CGROUP_INET4_CONNECT;
  return base::Fd(bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "allow", "GPL",
                                instructions, 2, &options));
}

class LinkTest : public ::testing::Test {
 protected:
  Attachment To(const base::Fd& cgroup) {
    return {.target = cgroup.get(),
            .hook = BPF_CGROUP_INET4_CONNECT,
            .name = "allow to a cgroup"};
  }
  base::Status AttachPinnedTo(const base::Fd& cgroup, bool current) {
    return AttachPinned(path_, AllowConnect().get(), To(cgroup),
                        [current](const bpf_link_info&) { return current; });
  }
  bpf_link_info Pinned() {
    auto fd = OpenPin(path_);
    EXPECT_TRUE(fd.ok());
    return ReadLink(fd->get()).value_or(bpf_link_info{});
  }

  test::Sandbox sandbox_;
  const std::string path_ = sandbox_.bpf_dir() + "/link";
  base::Fd cgroup_{
      open(sandbox_.cgroup().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(LinkTest, CurrentLinkIsUpdatedInPlace) {
  ASSERT_TRUE(AttachPinnedTo(cgroup_, true).ok());
  bpf_link_info first = Pinned();
  ASSERT_TRUE(AttachPinnedTo(cgroup_, true).ok());
  EXPECT_EQ(Pinned().id, first.id);
  EXPECT_NE(Pinned().prog_id, first.prog_id);
}

TEST_F(LinkTest, OtherLinkIsReplaced) {
  ASSERT_TRUE(AttachPinnedTo(cgroup_, true).ok());
  bpf_link_info first = Pinned();
  ASSERT_TRUE(AttachPinnedTo(cgroup_, false).ok());
  EXPECT_NE(Pinned().id, first.id);
}

TEST_F(LinkTest, PinThatIsNoLinkIsReplaced) {
  base::Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "m", 4, 4, 1, nullptr));
  ASSERT_TRUE(Pin(map.get(), path_).ok());
  EXPECT_FALSE(ReadLink(map.get()).has_value());
  ASSERT_TRUE(AttachPinnedTo(cgroup_, true).ok());
  EXPECT_NE(Pinned().id, 0u);
}

TEST_F(LinkTest, DetachReachesWhatOthersHold) {
  ASSERT_TRUE(AttachPinnedTo(cgroup_, true).ok());
  auto held = OpenPin(path_);
  ASSERT_TRUE(DetachPinned(path_).ok());
  EXPECT_FALSE(PathExists(path_));
  EXPECT_EQ(ReadLink(held->get())->cgroup.cgroup_id, 0u);
  EXPECT_TRUE(DetachPinned(path_).ok());
}

TEST_F(LinkTest, ErrorNamesWhatAndWhere) {
  auto link = Attach(AllowConnect().get(), To(base::Fd()));
  ASSERT_FALSE(link.ok());
  EXPECT_THAT(link.status().ToString(), HasSubstr("attach allow to a cgroup"));
}

}  // namespace
}  // namespace nodeward::kernel
