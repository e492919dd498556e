// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * Outbound capture. A TCP connect() in an enrolled network namespace to a
 * destination that the mesh serves goes to the agent's listener on the pod's
 * own loopback instead; where it wanted to go is kept with the socket, given
 * back by getpeername() and published for the agent's accept().
 *
 * Whatever fails for a destination that must be captured refuses the
 * connection. It is never let through.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lib/address.h"
#include "lib/count.h"
#include "lib/mesh.h"
#include "nodeward/abi/capture.h"

#define SOL_SOCKET 1
#define SO_BINDTODEVICE 25

#define ALLOW 1
#define DENY 0

/* connect() can fail with an errno of our choice (Linux 5.18). */
const volatile __u32 can_set_retval = 0;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64);
  __type(value, struct nodeward_pod);
} pods SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 131072);
  __type(key, struct nodeward_tuple);
  __type(value, struct nodeward_endpoint);
} flows SEC(".maps");

/* Where a redirected socket wanted to go. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct nodeward_endpoint);
} originals SEC(".maps");

/*
 * A socket used again must not tell its former peer's name. One on its way to
 * the agent's listener may have been sent there just now, by the hook of
 * another version that is attached beside this one.
 */
inline_step int leave_alone(struct bpf_sock_addr *ctx,
                            const struct nodeward_endpoint *to) {
  if (to->port != bpf_htons(NODEWARD_PORT_OUTBOUND) ||
      !address_is_loopback(&to->address))
    bpf_sk_storage_delete(&originals, ctx->sk);
  return ALLOW;
}

inline_step int refuse(__u32 why) {
  count(why);
  if (can_set_retval) bpf_set_retval(-ECONNREFUSED);
  return DENY; /* without set_retval: EPERM */
}

/* NODEWARD_CAPTURE, NODEWARD_REFUSE, or 0: the mesh does not serve it. */
inline_step __u32 action_for(const struct nodeward_endpoint *to) {
  struct nodeward_destination_key key = {.address = to->address};
  struct nodeward_destination *whole = bpf_map_lookup_elem(&destinations, &key);
  if (whole) {
    __u32 action = whole->action;
    if (action & NODEWARD_LOOK_AT_PORT) {
      key.port = to->port;
      struct nodeward_destination *one =
          bpf_map_lookup_elem(&destinations, &key);
      if (one) /* null: the entry of the address decides */
        action = one->action;
    }
    return action & NODEWARD_REFUSE ? NODEWARD_REFUSE : NODEWARD_CAPTURE;
  }
  /* null: not known to the mesh, which is most traffic */
  return may_be_of_mesh(&to->address) ? NODEWARD_CAPTURE : 0;
}

/*
 * What is to be done with a connect() to `to`. `pod`: filled when captured.
 * Counts what it leaves alone in an enrolled pod.
 */
inline_step __u32 decide(struct bpf_sock_addr *ctx,
                         const struct nodeward_endpoint *to,
                         struct nodeward_pod *pod) {
  if (ctx->protocol != IPPROTO_TCP) return 0;
  __u64 cookie = bpf_get_netns_cookie(ctx);
  struct nodeward_pod *enrolled = bpf_map_lookup_elem(&pods, &cookie);
  if (!enrolled) /* null: not a pod of the mesh */
    return 0;
  *pod = *enrolled;
  /* null: not the agent's own socket */
  if (bpf_sk_storage_get(&agent_sockets, ctx->sk, 0, 0)) {
    count(NODEWARD_COUNT_CONNECT_OWN);
    return 0;
  }
  __u32 action = 0;
  if (!address_is_loopback(&to->address) &&
      !address_equal(&to->address, &pod->v4) &&
      !address_equal(&to->address, &pod->v6))
    action = action_for(to);
  if (!action) count(NODEWARD_COUNT_CONNECT_LEFT_ALONE);
  return action;
}

/*
 * A socket bound to eth0 would look for the listener on the wire. Taking the
 * device away (and not giving it lo) keeps the pod's address as its source: the
 * SYN-ACK to that address counts as eth0's. The kernel lets the application's
 * own right decide, so one without CAP_NET_RAW is refused.
 */
inline_step long release_device(struct bpf_sock_addr *ctx) {
  char none[4] = {};
  if (!ctx->sk->bound_dev_if) return 0;
  return bpf_setsockopt(ctx, SOL_SOCKET, SO_BINDTODEVICE, none, sizeof(none));
}

/* Keeps the destination with the socket; not 0: do not go on. */
inline_step long divert(struct bpf_sock_addr *ctx,
                        const struct nodeward_endpoint *to) {
  struct nodeward_endpoint *kept =
      bpf_sk_storage_get(&originals, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!kept) /* null: no memory */
    return -ENOMEM;
  *kept = *to;
  return release_device(ctx);
}

/*
 * The pod's address as source, so that getsockname() is what it would be
 * without us; the port is left to connect(). An application that has bound its
 * socket keeps what it chose, hence the result does not matter.
 */
inline_step void bind_v4(struct bpf_sock_addr *ctx,
                         const struct nodeward_address *pod) {
  struct sockaddr_in from = {.sin_family = AF_INET};
  if (address_is_zero(pod)) return;
  from.sin_addr.s_addr = pod->words[3];
  bpf_bind(ctx, (struct sockaddr *)&from, sizeof(from));
}

inline_step void bind_v6(struct bpf_sock_addr *ctx,
                         const struct nodeward_address *pod) {
  struct sockaddr_in6 from = {.sin6_family = AF_INET6};
  if (address_is_zero(pod)) return;
  from.sin6_addr.s6_addr32[0] = pod->words[0];
  from.sin6_addr.s6_addr32[1] = pod->words[1];
  from.sin6_addr.s6_addr32[2] = pod->words[2];
  from.sin6_addr.s6_addr32[3] = pod->words[3];
  bpf_bind(ctx, (struct sockaddr *)&from, sizeof(from));
}

/*
 * The listener's address for this destination: 127.h.h.h, so that each
 * destination has the whole range of source ports to itself. The second byte
 * is 1 to 254, which keeps clear of 127.0.0.0/16 and of the broadcast address.
 */
inline_step __be32 spread(const struct nodeward_endpoint *to) {
  __u32 h = bpf_ntohl(to->address.words[3]) ^
            (__u32)bpf_ntohs(to->port) * 0x9e3779b1u;
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  h ^= h >> 16;
  return bpf_htonl(0x7f000000u | ((h >> 16 & 0xff) % 254 + 1) << 16 |
                   (h & 0xffff));
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx) {
  struct nodeward_endpoint to = {.address = address_v4(ctx->user_ip4),
                                 .port = (__be16)ctx->user_port};
  struct nodeward_pod pod = {};
  __u32 action = decide(ctx, &to, &pod);
  if (!action) return leave_alone(ctx, &to);
  if (action == NODEWARD_REFUSE && can_set_retval)
    return refuse(NODEWARD_COUNT_CONNECT_REFUSED);
  if (divert(ctx, &to)) return refuse(NODEWARD_COUNT_CONNECT_FAILED);
  bind_v4(ctx, &pod.v4);
  ctx->user_ip4 = spread(&to);
  ctx->user_port = bpf_htons(NODEWARD_PORT_OUTBOUND);
  count(NODEWARD_COUNT_CONNECT_CAPTURED);
  return ALLOW;
}

/*
 * For v4-mapped destinations this one fires alone. The address is read before
 * anything branches: clang merges loads of neighbouring fields from two
 * branches into a modified context pointer, which the verifier refuses.
 */
SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx) {
  struct nodeward_endpoint to = {.port = (__be16)ctx->user_port};
  to.address.words[0] = ctx->user_ip6[0];
  to.address.words[1] = ctx->user_ip6[1];
  to.address.words[2] = ctx->user_ip6[2];
  to.address.words[3] = ctx->user_ip6[3];
  struct nodeward_pod pod = {};
  __u32 action = decide(ctx, &to, &pod);
  if (!action) return leave_alone(ctx, &to);
  if (action == NODEWARD_REFUSE && can_set_retval)
    return refuse(NODEWARD_COUNT_CONNECT_REFUSED);
  if (divert(ctx, &to)) return refuse(NODEWARD_COUNT_CONNECT_FAILED);
  bool mapped = address_is_v4(&to.address);
  bind_v6(ctx, mapped ? &pod.v4 : &pod.v6);
  ctx->user_ip6[0] = 0;
  ctx->user_ip6[1] = 0;
  ctx->user_ip6[2] = mapped ? bpf_htonl(0xffff) : 0;
  ctx->user_ip6[3] = mapped ? spread(&to) : bpf_htonl(1);
  ctx->user_port = bpf_htons(NODEWARD_PORT_OUTBOUND);
  count(NODEWARD_COUNT_CONNECT_CAPTURED);
  return ALLOW;
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx) {
  struct nodeward_endpoint *to = bpf_sk_storage_get(&originals, ctx->sk, 0, 0);
  if (!to) /* null: not redirected */
    return ALLOW;
  ctx->user_ip4 = to->address.words[3];
  ctx->user_port = to->port;
  return ALLOW;
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx) {
  struct nodeward_endpoint *to = bpf_sk_storage_get(&originals, ctx->sk, 0, 0);
  if (!to) /* null: not redirected */
    return ALLOW;
  ctx->user_ip6[0] = to->address.words[0];
  ctx->user_ip6[1] = to->address.words[1];
  ctx->user_ip6[2] = to->address.words[2];
  ctx->user_ip6[3] = to->address.words[3];
  ctx->user_port = to->port;
  return ALLOW;
}

inline_step struct nodeward_tuple tuple_of(struct bpf_sock_ops *ctx) {
  struct nodeward_tuple tuple = {
      .cookie = bpf_get_netns_cookie(ctx),
      .local_port = bpf_htons((__u16)ctx->local_port),
      .remote_port = bpf_htons((__u16)bpf_ntohl(ctx->remote_port)),
  };
  if (ctx->family == AF_INET) {
    tuple.local = address_v4(ctx->local_ip4);
    tuple.remote = address_v4(ctx->remote_ip4);
    return tuple;
  }
  tuple.local.words[0] = ctx->local_ip6[0];
  tuple.local.words[1] = ctx->local_ip6[1];
  tuple.local.words[2] = ctx->local_ip6[2];
  tuple.local.words[3] = ctx->local_ip6[3];
  tuple.remote.words[0] = ctx->remote_ip6[0];
  tuple.remote.words[1] = ctx->remote_ip6[1];
  tuple.remote.words[2] = ctx->remote_ip6[2];
  tuple.remote.words[3] = ctx->remote_ip6[3];
  return tuple;
}

/*
 * Both connections of the application to the agent run over lo, where the
 * system's congestion control (bbr) would only pace: a timer for every burst.
 * It is not started yet when this is called.
 * Without Reno things are as they were, hence the result does not matter.
 */
inline_step void skip_pacing(struct bpf_sock_ops *ctx) {
  char reno[4] = {'r', 'e', 'n', 'o'};
  bpf_setsockopt(ctx, IPPROTO_TCP, TCP_CONGESTION, reno, sizeof(reno));
}

/*
 * Runs before the handshake's ACK leaves, so the entry is there when the agent
 * accepts. It is the agent who deletes it: at TCP_CLOSE it would be too early
 * for a client that sends and closes at once.
 */
SEC("sockops")
int publish(struct bpf_sock_ops *ctx) {
  struct bpf_sock *sk = ctx->sk;
  if (!sk) /* null: a request socket, which never connects */
    return 1;
  if (ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
    /* The application's end of the agent's onward connection. */
    if (sk->mark == NODEWARD_MARK_ONWARD) skip_pacing(ctx);
    return 1;
  }
  if (ctx->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) return 1;
  struct nodeward_endpoint *to = bpf_sk_storage_get(&originals, sk, 0, 0);
  if (!to) /* null: not redirected */
    return 1;
  struct nodeward_tuple tuple = tuple_of(ctx);
  if (bpf_map_update_elem(&flows, &tuple, to, BPF_ANY))
    count(NODEWARD_COUNT_FLOW_LOST);
  else
    count(NODEWARD_COUNT_FLOW_PUBLISHED);
  skip_pacing(ctx);
  return 1;
}

char program_license[] SEC("license") = "GPL";
