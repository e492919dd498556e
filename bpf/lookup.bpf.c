// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * Inbound capture. Runs in a pod's network namespace when the kernel looks for
 * the listener of a new connection, and gives it to the agent's, whatever its
 * port; that of HBONE too, else an application that listens there would be
 * reached past every policy. One instance a pod: sk_lookup cannot ask for the
 * netns cookie.
 *
 * A slot without listener, and every error, drops: the client sees RST. The
 * link is pinned, so it stays so while there is no agent.
 */
#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lib/address.h"
#include "lib/count.h"
#include "lib/exempt.h"
#include "nodeward/abi/capture.h"

const volatile __u64 netns_cookie = 0;

/* The agent's listeners, by enum nodeward_slot. */
struct {
  __uint(type, BPF_MAP_TYPE_SOCKMAP);
  __uint(max_entries, NODEWARD_SLOT_MAX);
  __type(key, __u32);
  __type(value, __u64);
} listeners SEC(".maps");

inline_step struct nodeward_tuple tuple_of(struct bpf_sk_lookup *ctx) {
  struct nodeward_tuple tuple = {
      .cookie = netns_cookie,
      .local_port = bpf_htons((__u16)ctx->local_port),
      .remote_port = ctx->remote_port,
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
 * Loopback, and the agent's onward sockets, which are bound to lo. A connection
 * to the pod's own address runs over lo as well but shows eth0's index, hence
 * the second test; an answer to such a source never leaves the pod.
 */
inline_step bool is_local(struct bpf_sk_lookup *ctx,
                          const struct nodeward_tuple *tuple) {
  return ctx->ingress_ifindex == LOOPBACK_IFINDEX ||
         address_equal(&tuple->local, &tuple->remote);
}

inline_step int give_to(struct bpf_sk_lookup *ctx, __u32 slot) {
  struct bpf_sock *listener = bpf_map_lookup_elem(&listeners, &slot);
  if (!listener) { /* null: no agent */
    count(NODEWARD_COUNT_LOOKUP_NO_LISTENER);
    return SK_DROP;
  }
  /* NO_REUSEPORT: else the listener's group, not the slot, chooses. */
  long error = bpf_sk_assign(
      ctx, listener, BPF_SK_LOOKUP_F_REPLACE | BPF_SK_LOOKUP_F_NO_REUSEPORT);
  bpf_sk_release(listener);
  if (error) {
    count(NODEWARD_COUNT_LOOKUP_FAILED);
    return SK_DROP;
  }
  count(slot == NODEWARD_SLOT_HBONE ? NODEWARD_COUNT_LOOKUP_HBONE
                                    : NODEWARD_COUNT_LOOKUP_CAPTURED);
  return SK_PASS;
}

SEC("sk_lookup")
int lookup(struct bpf_sk_lookup *ctx) {
  if (ctx->protocol != IPPROTO_TCP) return SK_PASS;
  struct nodeward_tuple tuple = tuple_of(ctx);
  if (is_local(ctx, &tuple)) {
    count(NODEWARD_COUNT_LOOKUP_LOCAL);
    return SK_PASS;
  }
  if (ctx->local_port == NODEWARD_PORT_HBONE)
    return give_to(ctx, NODEWARD_SLOT_HBONE);
  if (is_exempt(&tuple)) {
    count(NODEWARD_COUNT_LOOKUP_EXEMPT);
    return SK_PASS;
  }
  return give_to(ctx, ctx->family == AF_INET6 ? NODEWARD_SLOT_INBOUND6
                                              : NODEWARD_SLOT_INBOUND4);
}

char program_license[] SEC("license") = "GPL";
