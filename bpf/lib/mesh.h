/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What the mesh serves, and which sockets are the agent's: written by it. */
#pragma once

#include <bpf/bpf_helpers.h>

#include "lib/address.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 262144);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct nodeward_destination_key);
  __type(value, struct nodeward_destination);
} destinations SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 1024);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct nodeward_cidr_key);
  __type(value, __u32);
} mesh_cidrs SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct nodeward_settings);
} settings SEC(".maps");

/*
 * The agent marks its own sockets here through their descriptors. Unlike a
 * mark, an id or a name, nobody else can do that.
 */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, __u32);
} agent_sockets SEC(".maps");

/*
 * For an address that `destinations` does not know: must it be taken for one of
 * the mesh?
 */
inline_step bool may_be_of_mesh(const struct nodeward_address *address) {
  __u32 zero = 0;
  struct nodeward_settings *set = bpf_map_lookup_elem(&settings, &zero);
  if (!set) /* null: cannot be, an array always has its one element */
    return true;
  if (set->capture_unknown) return true;
  if (!set->mesh_cidrs) return false;
  struct nodeward_cidr_key block = {.prefix = 128, .address = *address};
  /* null: outside the mesh's blocks */
  return bpf_map_lookup_elem(&mesh_cidrs, &block);
}
