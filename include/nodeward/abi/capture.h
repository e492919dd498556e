/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Maps shared by the kernel programs (bpf/) and the agent (src/kernel). Valid
 * C11 and C++20; fixed width, explicit padding, byte order in the type. A
 * change of any layout raises NODEWARD_ABI_VERSION, which is part of the pin
 * path, so that two agents never read each other's maps wrongly.
 *
 * Hooks of two versions stand beside each other while one agent takes over from
 * another's. What they keep of connections and sockets (`flows`, `originals`,
 * `agent_sockets`, `exempt`) is one map for both, where it has the same shape:
 * such a map whose meaning changes and whose shape does not gets another name.
 */
#ifndef NODEWARD_ABI_CAPTURE_H
#define NODEWARD_ABI_CAPTURE_H

#include <linux/types.h>

#define NODEWARD_ABI_VERSION 1

#define NODEWARD_PORT_OUTBOUND 15001
#define NODEWARD_PORT_INBOUND 15006
#define NODEWARD_PORT_HBONE 15008

/* Routing only; no decision of security rests on a mark. */
#define NODEWARD_MARK_ONWARD 0x111

#ifdef __cplusplus
#define NODEWARD_STATIC_ASSERT static_assert
#else
#define NODEWARD_STATIC_ASSERT _Static_assert
#endif

/* IPv4 as ::ffff:a.b.c.d, network order. */
struct nodeward_address {
  union {
    __u8 bytes[16];
    __be32 words[4];
  };
};
NODEWARD_STATIC_ASSERT(sizeof(struct nodeward_address) == 16, "address");

/* Map `pods`: netns cookie (__u64) -> this. Present: outbound is captured. */
struct nodeward_pod {
  struct nodeward_address v4; /* all zero: the pod has none */
  struct nodeward_address v6;
};
NODEWARD_STATIC_ASSERT(sizeof(struct nodeward_pod) == 32, "pod");

/*
 * Map `destinations`: what the mesh serves. An entry with port 0 stands for the
 * whole address and is looked up first; only if it says NODEWARD_LOOK_AT_PORT
 * is (address, port) looked up too (absent: the entry of the address decides).
 */
struct nodeward_destination_key {
  struct nodeward_address address;
  __be16 port;
  __u16 padding[3];
};
NODEWARD_STATIC_ASSERT(sizeof(struct nodeward_destination_key) == 24, "key");

#define NODEWARD_CAPTURE 1      /* to the agent */
#define NODEWARD_REFUSE 2       /* ECONNREFUSED from connect() */
#define NODEWARD_LOOK_AT_PORT 4 /* flag beside one of the above */
/*
 * Flag of an address, beside one of the above: of the mesh, so that plaintext
 * to it may be forbidden. With NODEWARD_REFUSE nobody is spoken to there: it is
 * a Service's, or that of a pod that has ended.
 */
#define NODEWARD_OF_MESH 8
struct nodeward_destination {
  __u32 action;
};

/* Map `mesh_cidrs` (LPM trie): inside, an unknown destination is captured. */
struct nodeward_cidr_key {
  __u32 prefix; /* of the 16-byte form */
  struct nodeward_address address;
};
NODEWARD_STATIC_ASSERT(sizeof(struct nodeward_cidr_key) == 20, "cidr");

/*
 * Map `settings` (array of one): what the connect hook does with a destination
 * that `destinations` does not know. Both zero: one look-up and it is gone.
 */
struct nodeward_settings {
  __u32 mesh_cidrs;      /* 1: `mesh_cidrs` has entries, look there too */
  __u32 capture_unknown; /* 1: `destinations` overflowed, capture everything */
};
NODEWARD_STATIC_ASSERT(sizeof(struct nodeward_settings) == 8, "settings");

/* A connection's two ends as its netns sees them; ports in network order. */
struct nodeward_tuple {
  __u64 cookie; /* of the netns */
  struct nodeward_address local;
  struct nodeward_address remote;
  __be16 local_port;
  __be16 remote_port;
  __u32 padding;
};
NODEWARD_STATIC_ASSERT(sizeof(struct nodeward_tuple) == 48, "tuple");

/*
 * Map `flows` (LRU): tuple of the redirected client socket (local: the
 * application's end, remote: the agent's listener as connected to) -> where the
 * application wanted to go. The agent deletes it after its look-up.
 */
struct nodeward_endpoint {
  struct nodeward_address address;
  __be16 port;
  __u16 padding[3];
};
NODEWARD_STATIC_ASSERT(sizeof(struct nodeward_endpoint) == 24, "endpoint");

/* Map `listeners` (sockmap, one a pod): the agent's, index: */
enum nodeward_slot {
  NODEWARD_SLOT_INBOUND4,
  NODEWARD_SLOT_INBOUND6,
  NODEWARD_SLOT_HBONE, /* both families */
  NODEWARD_SLOT_MAX
};

/*
 * Map `exempt` (LRU): tuple of a probe's connection as the pod sees it (local:
 * the pod's end) -> CLOCK_MONOTONIC nanoseconds at the SYN. Honoured 5 s.
 */
#define NODEWARD_EXEMPT_NANOSECONDS 5000000000ULL

/* Map `probe_ports`: present: a declared probe port of that pod. */
struct nodeward_probe_key {
  __u64 cookie;
  struct nodeward_address address; /* the pod's */
  __be16 port;
  __u16 padding[3];
};
NODEWARD_STATIC_ASSERT(sizeof(struct nodeward_probe_key) == 32, "probe");

/* Ring buffer `probe_events`: a connection that was exempted. */
struct nodeward_probe_event {
  struct nodeward_tuple tuple; /* local: the pod's end */
  __u64 cgroup;                /* id of the sending socket's cgroup */
};
NODEWARD_STATIC_ASSERT(sizeof(struct nodeward_probe_event) == 56, "event");

/* Map `veths`: host-side ifindex (__u32) -> this. */
struct nodeward_veth {
  __u64 cookie; /* of the pod behind it */
  __u32 closed; /* 1: no sk_lookup there, drop plaintext SYNs here */
  __u32 padding;
};
NODEWARD_STATIC_ASSERT(sizeof(struct nodeward_veth) == 16, "veth");

/* Map `counters` (per-CPU array of __u64), index: */
enum nodeward_counter {
  NODEWARD_COUNT_CONNECT_CAPTURED,
  NODEWARD_COUNT_CONNECT_REFUSED,
  NODEWARD_COUNT_CONNECT_LEFT_ALONE,
  NODEWARD_COUNT_CONNECT_OWN,    /* the agent's own socket */
  NODEWARD_COUNT_CONNECT_FAILED, /* an error in the hook: refused */
  NODEWARD_COUNT_FLOW_PUBLISHED,
  NODEWARD_COUNT_FLOW_LOST, /* could not be published: agent resets */
  NODEWARD_COUNT_LOOKUP_CAPTURED,
  NODEWARD_COUNT_LOOKUP_HBONE,
  NODEWARD_COUNT_LOOKUP_LOCAL, /* loopback, onward, own address */
  NODEWARD_COUNT_LOOKUP_EXEMPT,
  NODEWARD_COUNT_LOOKUP_NO_LISTENER, /* empty slot: dropped */
  NODEWARD_COUNT_LOOKUP_FAILED,      /* assign failed: dropped */
  NODEWARD_COUNT_PROBE_EXEMPTED,
  NODEWARD_COUNT_PROBE_NOT_EXEMPT,
  NODEWARD_COUNT_PROBE_CLOSED,     /* backstop dropped a SYN */
  NODEWARD_COUNT_PROBE_MALFORMED,  /* headers nobody can follow: dropped */
  NODEWARD_COUNT_PROBE_EVENT_LOST, /* exempted, but the agent was not told */
  NODEWARD_COUNT_GUARD_REFUSED,    /* plaintext from a pod to the mesh */
  NODEWARD_COUNT_GUARD_MALFORMED,  /* headers nobody can follow: dropped */
  NODEWARD_COUNT_MAX
};

#endif /* NODEWARD_ABI_CAPTURE_H */
