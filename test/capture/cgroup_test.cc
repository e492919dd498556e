// SPDX-License-Identifier: Apache-2.0
#include "capture/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nodeward::capture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ParseCgroup2MountsTest, TakesThatTypeOnlyAndUnescapes) {
  EXPECT_THAT(
      ParseCgroup2Mounts(
          "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
          "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
          "41 31 0:38 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 "
          "rw\n"
          "42 31 0:38 /a /mnt/my\\040groups rw - cgroup2 none rw\n"
          "broken line\n"),
      ElementsAre("/sys/fs/cgroup/unified", "/mnt/my groups"));
  EXPECT_THAT(ParseCgroup2Mounts(""), ElementsAre());
}

TEST(IsPodCgroupTest, KnowsThePathsOfPods) {
  for (const char* path :
       {"/kubepods/burstable/pod1b9c5ff0-1111-2222-3333-444455556666/abc",
        "/kubepods.slice/kubepods-pod1b9c5ff0_1111.slice/"
        "cri-containerd-x.scope",
        "/kubelet.slice/kubelet-kubepods.slice/x",
        "/node-a/pod0123456789abcdef0123456789abcdef/etcd"}) {
    EXPECT_TRUE(IsPodCgroup(path)) << path;
  }
  for (const char* path :
       {"/", "/system.slice/kubelet.service", "/node-a/kubelet",
        "/podman/libpod-0123.scope", "/podruntime/x"}) {
    EXPECT_FALSE(IsPodCgroup(path)) << path;
  }
}

class CgroupTest : public testing::Test {
 protected:
  CgroupTest()
      : mount_(FindCgroup2Mount().value()),
        name_("nwcap-" + std::to_string(getpid())),
        folder_(mount_ + "/" + name_) {
    EXPECT_EQ(mkdir(folder_.c_str(), 0755), 0);
    EXPECT_EQ(mkdir((folder_ + "/inner").c_str(), 0755), 0);
  }
  ~CgroupTest() override {
    rmdir((folder_ + "/inner").c_str());
    rmdir(folder_.c_str());
  }

  const std::string mount_;
  const std::string name_;
  const std::string folder_;
};

TEST_F(CgroupTest, FolderAndIdLeadToEachOther) {
  const auto id = CgroupId(folder_ + "/inner");
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*FindCgroup(mount_, *id), folder_ + "/inner");
  EXPECT_EQ(*FindCgroup(mount_, *CgroupId(mount_)), mount_);
  rmdir((folder_ + "/inner").c_str());
  EXPECT_EQ(FindCgroup(mount_, *id).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(CgroupTest, ConfiguredPathsAreAbsoluteOrBelowTheMount) {
  EXPECT_EQ(*ResolveCgroup("auto"), mount_);
  EXPECT_EQ(*ResolveCgroup(folder_), folder_);
  EXPECT_EQ(*ResolveCgroup("/" + name_), folder_);
  EXPECT_EQ(*ResolveCgroup(name_ + "/inner"), folder_ + "/inner");
}

TEST_F(CgroupTest, OtherFoldersAreRefusedWithTheMountNamed) {
  for (const char* path : {"/tmp", "no/such/group", "/no/such"}) {
    const auto resolved = ResolveCgroup(path);
    EXPECT_EQ(resolved.status().code(), absl::StatusCode::kNotFound) << path;
    EXPECT_THAT(std::string(resolved.status().message()), HasSubstr(mount_));
  }
}

}  // namespace
}  // namespace nodeward::capture
