// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * No plaintext from a pod to the mesh. Runs on the host's side of the veth of
 * each pod that must speak mutual TLS (nodeward.io/outbound=require-mtls) on
 * what comes out of it, behind all that a container can do in there: raw
 * packets, marks, namespaces and rules of its own.
 *
 * Decides the SYN without ACK, which opens a connection; the answers of those
 * that others have opened pass. What the agent sends to the mesh goes to a
 * pod's port 15008. A pod's own SYN to that port passes, too: whoever listens
 * there reads nothing before a certificate. That the hook stands is all its
 * state, so no map that is full can open it.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lib/address.h"
#include "lib/count.h"
#include "lib/mesh.h"
#include "lib/segment.h"
#include "nodeward/abi/capture.h"

/* The same numbers as TCX_NEXT and TCX_DROP: one program serves both hooks. */
#define NEXT TC_ACT_UNSPEC
#define DROP TC_ACT_SHOT

/*
 * One tag is gone by now, here as at the receiver. With VLAN 0, which is none,
 * Linux takes off a second one later: behind our back.
 */
inline_step bool is_tagged(struct __sk_buff *skb) {
  return skb->protocol == bpf_htons(ETH_P_8021Q) ||
         skb->protocol == bpf_htons(ETH_P_8021AD);
}

inline_step bool is_the_agents(struct __sk_buff *skb) {
  struct bpf_sock *sk = skb->sk;
  if (!sk) /* null: forwarded inside the pod, or a packet without a socket */
    return false;
  sk = bpf_sk_fullsock(sk);
  if (!sk) /* null: none that could have connected */
    return false;
  /* null: another's */
  return bpf_sk_storage_get(&agent_sockets, sk, 0, 0);
}

/* By its link-local address, which is listed nowhere, a pod has neighbours. */
inline_step bool may_be_a_pods(const struct nodeward_address *address) {
  return address_is_link_local(address) || may_be_of_mesh(address);
}

inline_step bool may_open(struct __sk_buff *skb,
                          const struct segment *segment) {
  struct nodeward_destination_key key = {.address = segment->destination};
  struct nodeward_destination *known = bpf_map_lookup_elem(&destinations, &key);
  if (!known) /* null: not of the mesh, or not known to be */
    return !may_be_a_pods(&segment->destination) || is_the_agents(skb);
  if (!(known->action & NODEWARD_OF_MESH)) return true;
  return !(known->action & NODEWARD_REFUSE) &&
         segment->destination_port == bpf_htons(NODEWARD_PORT_HBONE);
}

SEC("tc")
int guard(struct __sk_buff *skb) {
  struct segment segment = {};
  if (is_tagged(skb)) {
    count(NODEWARD_COUNT_GUARD_MALFORMED);
    return DROP;
  }
  enum packet_kind kind = parse(skb, &segment);
  if (kind == PACKET_OTHER) return NEXT;
  if (kind == PACKET_MALFORMED || segment.detour) {
    count(NODEWARD_COUNT_GUARD_MALFORMED);
    return DROP;
  }
  if (may_open(skb, &segment)) return NEXT;
  count(NODEWARD_COUNT_GUARD_REFUSED);
  return DROP;
}

char program_license[] SEC("license") = "GPL";
