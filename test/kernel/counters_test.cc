// SPDX-License-Identifier: Apache-2.0
#include "kernel/counters.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/handle.h"
#include "kernel/netns_fixture.h"
#include "lookup.skel.h"
#include "nodeward/abi/capture.h"

namespace nodeward::kernel {
namespace {

TEST(CountersTest, AddsUpTheCpusUnderEveryName) {
  test::Sandbox sandbox;
  auto maps = SharedMaps::Open(sandbox.bpf_dir());
  ASSERT_TRUE(maps.ok());
  base::Handle<lookup_bpf, lookup_bpf::destroy> lookup(lookup_bpf::open());
  ASSERT_TRUE(maps->Load(lookup->obj, "lookup", "listeners").ok());
  auto counters = Counters::Open(*maps);
  ASSERT_TRUE(counters.ok());
  std::vector<uint64_t> values(libbpf_num_possible_cpus(), 3);
  uint32_t which = NODEWARD_COUNT_PROBE_CLOSED;
  ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(lookup->maps.counters), &which,
                                values.data(), BPF_ANY),
            0);
  auto totals = counters->Read();
  EXPECT_EQ(totals.size(), size_t{NODEWARD_COUNT_MAX});
  EXPECT_EQ(totals.at("probe_closed"), 3 * values.size());
  EXPECT_EQ(totals.at("connect_captured"), 0u);
}

}  // namespace
}  // namespace nodeward::kernel
