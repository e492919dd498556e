// SPDX-License-Identifier: Apache-2.0
#include "kernel/pin.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/netns_fixture.h"

namespace nodeward::kernel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

base::Fd MakeMap(uint32_t entries) {
  return base::Fd(
      bpf_map_create(BPF_MAP_TYPE_ARRAY, "pin_test", 4, 8, entries, nullptr));
}

uint32_t EntriesOf(const std::string& path) {
  auto fd = OpenPin(path);
  if (!fd.ok()) return 0;
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(fd->get(), &info, &size) == 0 ? info.max_entries
                                                              : 0;
}

class PinTest : public ::testing::Test {
 protected:
  std::string PathOf(const std::string& name) {
    return sandbox_.bpf_dir() + "/" + name;
  }
  test::Sandbox sandbox_;
};

TEST_F(PinTest, ReplacesInOneStep) {
  ASSERT_TRUE(Pin(MakeMap(1).get(), PathOf("m")).ok());
  EXPECT_EQ(EntriesOf(PathOf("m")), 1u);
  ASSERT_TRUE(Pin(MakeMap(2).get(), PathOf("m")).ok());
  EXPECT_EQ(EntriesOf(PathOf("m")), 2u);
  EXPECT_THAT(ListDirectory(sandbox_.bpf_dir()), ElementsAre("m"));
}

TEST_F(PinTest, OverwritesWhatWasNotFinished) {
  ASSERT_TRUE(Pin(MakeMap(1).get(), PathOf("m-new")).ok());
  ASSERT_TRUE(Pin(MakeMap(2).get(), PathOf("m")).ok());
  EXPECT_EQ(EntriesOf(PathOf("m")), 2u);
  EXPECT_THAT(ListDirectory(sandbox_.bpf_dir()), ElementsAre("m"));
}

TEST_F(PinTest, AbsentPinIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(OpenPin(PathOf("none")).status()));
}

TEST_F(PinTest, MakesFoldersBelowABpfFileSystemOnly) {
  ASSERT_TRUE(MakePinDirectory(PathOf("a/b/c")).ok());
  EXPECT_TRUE(IsOnBpfFileSystem(PathOf("a/b/c")));
  ASSERT_TRUE(MakePinDirectory(PathOf("a/b/c")).ok());
  for (const char* elsewhere : {"/tmp", "/tmp/x/y", "relative"}) {
    base::Status status = MakePinDirectory(elsewhere);
    EXPECT_THAT(status.ToString(), HasSubstr("mount -t bpf bpf")) << elsewhere;
  }
  EXPECT_FALSE(PathExists("/tmp/x/y"));
}

TEST_F(PinTest, RemovesTrees) {
  ASSERT_TRUE(MakePinDirectory(PathOf("a/b")).ok());
  ASSERT_TRUE(Pin(MakeMap(1).get(), PathOf("a/b/m")).ok());
  ASSERT_TRUE(RemovePin(PathOf("a")).ok());
  EXPECT_THAT(ListDirectory(sandbox_.bpf_dir()), IsEmpty());
  EXPECT_TRUE(RemovePin(PathOf("a")).ok());
}

TEST_F(PinTest, WhatIsOfANamespaceAndOfAVersionIsToldByItsName) {
  for (const std::string& name :
       {NameOf(7), NameOf(uint64_t{1} << 63), std::string("other"),
        std::string("v1"), std::string("v12-new"), std::string("v1x"),
        std::string("v")}) {
    ASSERT_TRUE(MakePinDirectory(PathOf(name)).ok());
  }
  EXPECT_THAT(CookiesIn(sandbox_.bpf_dir()),
              ElementsAre(7u, uint64_t{1} << 63));
  EXPECT_THAT(ListVersions(sandbox_.bpf_dir()), ElementsAre("v1", "v12-new"));
  EXPECT_THAT(ListVersions("/tmp"), IsEmpty());
}

TEST_F(PinTest, KindsAreTold) {
  EXPECT_EQ(KindOf(MakeMap(1).get()), PinKind::kMap);
  base::Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(KindOf(file.get()), PinKind::kOther);
  EXPECT_EQ(KindOf(-1), PinKind::kOther);
}

}  // namespace
}  // namespace nodeward::kernel
