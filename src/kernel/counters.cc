// SPDX-License-Identifier: Apache-2.0
#include "kernel/counters.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <numeric>
#include <vector>

#include "nodeward/abi/capture.h"

namespace nodeward::kernel {
namespace {

// In the order of enum nodeward_counter.
constexpr const char* kNames[] = {
    "connect_captured", "connect_refused", "connect_left_alone",
    "connect_own",      "connect_failed",  "flow_published",
    "flow_lost",        "lookup_captured", "lookup_hbone",
    "lookup_local",     "lookup_exempt",   "lookup_no_listener",
    "lookup_failed",    "probe_exempted",  "probe_not_exempt",
    "probe_closed",     "probe_malformed", "probe_event_lost",
    "guard_refused",    "guard_malformed",
};
static_assert(std::size(kNames) == NODEWARD_COUNT_MAX);

}  // namespace

base::StatusOr<Counters> Counters::Open(const SharedMaps& maps) {
  NODEWARD_ASSIGN(base::Fd fd, maps.Duplicate("counters"));
  return Counters(std::move(fd));
}

absl::flat_hash_map<std::string, uint64_t> Counters::Read() const {
  absl::flat_hash_map<std::string, uint64_t> totals;
  int cpus = libbpf_num_possible_cpus();
  std::vector<uint64_t> values(cpus > 0 ? cpus : 0);
  for (uint32_t i = 0; i < NODEWARD_COUNT_MAX; ++i) {
    // A map pinned by an agent that had fewer counters ends early.
    if (values.empty() ||
        bpf_map_lookup_elem(fd_.get(), &i, values.data()) != 0)
      break;
    totals[kNames[i]] =
        std::accumulate(values.begin(), values.end(), uint64_t{0});
  }
  return totals;
}

}  // namespace nodeward::kernel
