/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* One counter a verdict, shared by all programs. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "lib/address.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, NODEWARD_COUNT_MAX);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

inline_step void count(__u32 which) {
  __u64 *value = bpf_map_lookup_elem(&counters, &which);
  if (value) /* null: `which` is not below NODEWARD_COUNT_MAX */
    *value += 1;
}
