// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * The kubelet's probe, told by its socket. Runs on the host's side of each
 * pod's veth, towards the pod, and decides every SYN anew: a socket of the
 * kubelet's, from an address of this node, to a declared probe port of that
 * very pod is let through to the application by lookup.bpf.c; any other SYN
 * takes back what its 4-tuple may have been allowed before.
 *
 * It only adds an exemption. A CNI that goes past this hook makes a probe fail,
 * never a policy. Only on a veth marked `closed` does it drop plaintext.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lib/address.h"
#include "lib/count.h"
#include "lib/exempt.h"
#include "lib/segment.h"
#include "nodeward/abi/capture.h"

/* The same numbers as TCX_NEXT and TCX_DROP: one program serves both hooks. */
#define NEXT TC_ACT_UNSPEC
#define DROP TC_ACT_SHOT

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct nodeward_veth);
} veths SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct nodeward_probe_key);
  __type(value, __u32);
} probe_ports SEC(".maps");

/* Ids; after a restart of the kubelet the old and the new one for a while. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16);
  __type(key, __u64);
  __type(value, __u32);
} kubelet_cgroups SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct nodeward_address);
  __type(value, __u32);
} node_addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 65536);
} probe_events SEC(".maps");

/* Is this SYN the kubelet's, to a probe port? `cgroup`: of the socket. */
inline_step bool is_attested(struct __sk_buff *skb,
                             const struct segment *segment, __u64 cookie,
                             __u64 *cgroup) {
  if (segment->fragment) return false;
  if (!skb->sk) /* null: forwarded, e.g. masqueraded NodePort traffic */
    return false;
  *cgroup = bpf_skb_cgroup_id(skb);
  if (!bpf_map_lookup_elem(&kubelet_cgroups, cgroup))
    return false; /* null: not the kubelet */
  if (!bpf_map_lookup_elem(&node_addresses, &segment->source))
    return false; /* null: not from this node */
  struct nodeward_probe_key port = {.cookie = cookie,
                                    .address = segment->destination,
                                    .port = segment->destination_port};
  /* null: not declared by this pod */
  return bpf_map_lookup_elem(&probe_ports, &port);
}

inline_step void report(const struct nodeward_tuple *tuple, __u64 cgroup) {
  struct nodeward_probe_event *event =
      bpf_ringbuf_reserve(&probe_events, sizeof(*event), 0);
  if (!event) { /* null: the agent does not read, or there is none */
    count(NODEWARD_COUNT_PROBE_EVENT_LOST);
    return;
  }
  event->tuple = *tuple;
  event->cgroup = cgroup;
  bpf_ringbuf_submit(event, 0);
}

/* false: the entry could not be written, so the probe is captured. */
inline_step bool grant(const struct nodeward_tuple *tuple, __u64 cgroup) {
  bool repeated = is_exempt(tuple); /* a SYN sent again is one connection */
  __u64 now = bpf_ktime_get_ns();
  if (bpf_map_update_elem(&exempt, tuple, &now, BPF_ANY)) return false;
  if (repeated) return true;
  count(NODEWARD_COUNT_PROBE_EXEMPTED);
  report(tuple, cgroup);
  return true;
}

SEC("tc")
int probe(struct __sk_buff *skb) {
  __u32 ifindex = skb->ifindex;
  struct segment segment = {};
  struct nodeward_veth *veth = bpf_map_lookup_elem(&veths, &ifindex);
  if (!veth) /* null: the pod is no longer one of the mesh */
    return NEXT;
  enum packet_kind kind = parse(skb, &segment);
  if (kind == PACKET_OTHER) return NEXT;
  if (kind == PACKET_MALFORMED) {
    count(NODEWARD_COUNT_PROBE_MALFORMED);
    return DROP;
  }
  struct nodeward_tuple tuple = {.cookie = veth->cookie,
                                 .local = segment.destination,
                                 .remote = segment.source,
                                 .local_port = segment.destination_port,
                                 .remote_port = segment.source_port};
  __u64 cgroup = 0;
  if (is_attested(skb, &segment, veth->cookie, &cgroup) &&
      grant(&tuple, cgroup))
    return NEXT;
  /* Nobody follows in a probe's tuple. No entry is the rule, so no check. */
  bpf_map_delete_elem(&exempt, &tuple);
  if (veth->closed &&
      segment.destination_port != bpf_htons(NODEWARD_PORT_HBONE)) {
    count(NODEWARD_COUNT_PROBE_CLOSED);
    return DROP;
  }
  count(NODEWARD_COUNT_PROBE_NOT_EXEMPT);
  return NEXT;
}

char program_license[] SEC("license") = "GPL";
