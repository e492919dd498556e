// SPDX-License-Identifier: Apache-2.0
#include "kernel/map.h"

#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nodeward::kernel {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

Map<uint32_t, uint64_t> MakeMap(uint32_t entries) {
  return Map<uint32_t, uint64_t>(
      base::Fd(bpf_map_create(BPF_MAP_TYPE_HASH, "map_test", 4, 8, entries,
                              nullptr)),
      "map_test");
}

TEST(MapTest, SetGetTakeErase) {
  auto map = MakeMap(8);
  ASSERT_TRUE(map.Set(1, 10).ok());
  ASSERT_TRUE(map.Set(2, 20).ok());
  ASSERT_TRUE(map.Set(1, 11).ok());
  EXPECT_EQ(map.Get(1), 11u);
  EXPECT_THAT(map.Keys(), UnorderedElementsAre(1u, 2u));
  EXPECT_EQ(map.Take(1), 11u);
  EXPECT_EQ(map.Take(1), std::nullopt);
  EXPECT_TRUE(map.Erase(2).ok());
  EXPECT_TRUE(map.Erase(2).ok()) << "absent is fine";
  EXPECT_TRUE(map.Keys().empty());
}

TEST(MapTest, FullMapIsTold) {
  auto map = MakeMap(2);
  ASSERT_TRUE(map.Set(1, 1).ok());
  ASSERT_TRUE(map.Set(2, 2).ok());
  base::Status status = map.Set(3, 3);
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(status.ToString(), HasSubstr("map_test"));
  EXPECT_TRUE(map.Set(1, 5).ok()) << "what is there can be changed";
}

TEST(MapTest, OtherErrorsKeepTheirNumber) {
  Map<uint32_t, uint64_t> none(base::Fd(), "none");
  EXPECT_THAT(none.Set(1, 1).ToString(), HasSubstr("errno 9"));
  EXPECT_FALSE(none.Erase(1).ok());
  EXPECT_EQ(none.Get(1), std::nullopt);
}

}  // namespace
}  // namespace nodeward::kernel
