/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Probes let through: written by probe.bpf.c, read by lookup.bpf.c. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "lib/address.h"

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct nodeward_tuple);
  __type(value, __u64);
} exempt SEC(".maps");

/*
 * Not consumed by the reader: with SYN cookies the listener is looked up once
 * more when the ACK arrives.
 */
inline_step bool is_exempt(const struct nodeward_tuple *tuple) {
  __u64 *since = bpf_map_lookup_elem(&exempt, tuple);
  if (!since) /* null: no probe, or evicted, which is closed */
    return false;
  return bpf_ktime_get_ns() - *since <= NODEWARD_EXEMPT_NANOSECONDS;
}
