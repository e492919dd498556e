// SPDX-License-Identifier: Apache-2.0
#include "kernel/object.h"

#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/handle.h"
#include "kernel/netns_fixture.h"
#include "kernel/pin.h"
#include "lookup.skel.h"
#include "probe.skel.h"

namespace nodeward::kernel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ObjectTest : public ::testing::Test {
 protected:
  using Lookup = base::Handle<lookup_bpf, lookup_bpf::destroy>;
  using Probe = base::Handle<probe_bpf, probe_bpf::destroy>;

  SharedMaps OpenMaps() {
    auto maps = SharedMaps::Open(sandbox_.bpf_dir());
    EXPECT_TRUE(maps.ok());
    return *std::move(maps);
  }
  static uint32_t MapId(int fd) {
    bpf_map_info info{};
    uint32_t size = sizeof(info);
    EXPECT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
    return info.id;
  }

  test::Sandbox sandbox_;
};

TEST_F(ObjectTest, PinsNewMapsButNotOwnAndReadOnlyOnes) {
  SharedMaps maps = OpenMaps();
  Lookup lookup(lookup_bpf::open());
  ASSERT_TRUE(maps.Load(lookup->obj, "lookup", "listeners").ok());
  EXPECT_THAT(ListDirectory(sandbox_.bpf_dir()),
              ElementsAre("counters", "exempt"));
}

TEST_F(ObjectTest, ProgramsShareMaps) {
  SharedMaps maps = OpenMaps();
  Lookup lookup(lookup_bpf::open());
  Probe probe(probe_bpf::open());
  ASSERT_TRUE(maps.Load(lookup->obj, "lookup", "listeners").ok());
  ASSERT_TRUE(maps.Load(probe->obj, "probe").ok());
  EXPECT_EQ(MapId(bpf_map__fd(lookup->maps.exempt)),
            MapId(bpf_map__fd(probe->maps.exempt)));
}

TEST_F(ObjectTest, PinnedMapsAreAdopted) {
  uint32_t id = 0;
  {
    SharedMaps maps = OpenMaps();
    Probe probe(probe_bpf::open());
    ASSERT_TRUE(maps.Load(probe->obj, "probe").ok());
    id = MapId(bpf_map__fd(probe->maps.veths));
  }
  SharedMaps maps = OpenMaps();
  Probe probe(probe_bpf::open());
  ASSERT_TRUE(maps.Load(probe->obj, "probe").ok());
  EXPECT_EQ(MapId(bpf_map__fd(probe->maps.veths)), id);
  auto veths = maps.Duplicate("veths");
  ASSERT_TRUE(veths.ok());
  EXPECT_EQ(MapId(veths->get()), id);
}

TEST_F(ObjectTest, PinnedMapOfAnotherLayoutIsRefused) {
  base::Fd strange(
      bpf_map_create(BPF_MAP_TYPE_HASH, "veths", 4, 64, 16, nullptr));
  ASSERT_TRUE(Pin(strange.get(), sandbox_.bpf_dir() + "/veths").ok());
  SharedMaps maps = OpenMaps();
  Probe probe(probe_bpf::open());
  base::Status status = maps.Load(probe->obj, "probe");
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status.ToString();
  EXPECT_THAT(status.ToString(), HasSubstr("/veths: it has another layout"));
}

TEST_F(ObjectTest, TheVerifiersWordsAreInTheError) {
  SharedMaps maps = OpenMaps();
  Lookup lookup(lookup_bpf::open());
  // A program that the verifier cannot take: of the wrong type.
  ASSERT_EQ(
      bpf_program__set_type(lookup->progs.lookup, BPF_PROG_TYPE_SOCKET_FILTER),
      0);
  base::Status status = maps.Load(lookup->obj, "lookup", "listeners");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.ToString(), HasSubstr("load BPF programs lookup"));
  EXPECT_THAT(status.ToString(), HasSubstr("END PROG LOAD LOG"));
  EXPECT_THAT(ListDirectory(sandbox_.bpf_dir()), ElementsAre());
}

TEST_F(ObjectTest, UnknownMapIsAnError) {
  EXPECT_FALSE(OpenMaps().Duplicate("nothing").ok());
}

}  // namespace
}  // namespace nodeward::kernel
