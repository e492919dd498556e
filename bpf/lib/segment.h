/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Finds the TCP SYN in a packet. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lib/address.h"

#define IPPROTO_HOPOPTS 0
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_DSTOPTS 60
/* RFC 8200 section 4.1: each at most once, destination options twice. */
#define EXTENSION_HEADERS_MAX 8

#define TCP_FLAGS_OFFSET 13
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_ACK 0x10

enum packet_kind {
  PACKET_OTHER,     /* does not open a TCP connection */
  PACKET_SYN,       /* does, or may: segment is filled */
  PACKET_MALFORMED, /* headers made to hide what follows: nobody sends such */
};

struct segment {
  struct nodeward_address source;
  struct nodeward_address destination;
  __be16 source_port;
  __be16 destination_port;
  bool fragment; /* the first of several */
  bool detour;   /* may say that it goes elsewhere than to `destination` */
};

/* From the network header on; false: the packet is shorter. */
inline_step bool load(struct __sk_buff *skb, __u32 offset, void *to,
                      __u32 size) {
  return bpf_skb_load_bytes_relative(skb, offset, to, size,
                                     BPF_HDR_START_NET) == 0;
}

/*
 * For a packet that ends before its headers do. Whole, the pod discards it; a
 * fragment has them in the next one, where nobody looks. RFC 8200 forbids that.
 */
inline_step enum packet_kind cut_off(const struct segment *segment) {
  return segment->fragment ? PACKET_MALFORMED : PACKET_OTHER;
}

/*
 * A first fragment that ends before the flags may hold a SYN; it counts as one.
 * (The rest cannot come from an overlapping fragment: Linux drops those.) A
 * whole packet that ends there is no TCP segment, the pod discards it.
 */
inline_step enum packet_kind parse_tcp(struct __sk_buff *skb, __u32 offset,
                                       struct segment *segment) {
  __be16 ports[2];
  __u8 flags = 0;
  if (!load(skb, offset, ports, sizeof(ports))) return cut_off(segment);
  segment->source_port = ports[0];
  segment->destination_port = ports[1];
  if (!load(skb, offset + TCP_FLAGS_OFFSET, &flags, sizeof(flags)))
    return segment->fragment ? PACKET_SYN : PACKET_OTHER;
  return (flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN ? PACKET_SYN
                                                                 : PACKET_OTHER;
}

inline_step enum packet_kind parse_v4(struct __sk_buff *skb,
                                      struct segment *segment) {
  __u8 header[20];
  __be32 addresses[2];
  if (!load(skb, 0, header, sizeof(header))) return PACKET_OTHER;
  if (header[9] != IPPROTO_TCP) return PACKET_OTHER;
  __u32 length = (header[0] & 0x0f) * 4;            /* options included */
  if (length < sizeof(header)) return PACKET_OTHER; /* the pod discards it */
  segment->detour = length > sizeof(header); /* a source route is an option */
  __u32 fragment = (header[6] & 0x3f) << 8 | header[7];
  if (fragment & 0x1fff) return PACKET_OTHER; /* not the first fragment */
  segment->fragment = fragment != 0;
  __builtin_memcpy(addresses, header + 12, sizeof(addresses));
  segment->source = address_v4(addresses[0]);
  segment->destination = address_v4(addresses[1]);
  return parse_tcp(skb, length, segment);
}

inline_step enum packet_kind parse_v6(struct __sk_buff *skb,
                                      struct segment *segment) {
  __u8 next = 0;
  __u32 offset = 40;
  if (!load(skb, 6, &next, sizeof(next)) ||
      !load(skb, 8, &segment->source, 16) ||
      !load(skb, 24, &segment->destination, 16))
    return PACKET_OTHER;
  for (int i = 0; i < EXTENSION_HEADERS_MAX; i++) {
    __u8 header[4];
    if (next == IPPROTO_TCP) return parse_tcp(skb, offset, segment);
    if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
        next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT &&
        next != IPPROTO_AH)
      return PACKET_OTHER;
    if (!load(skb, offset, header, sizeof(header))) return cut_off(segment);
    if (next == IPPROTO_ROUTING) segment->detour = true;
    if (next == IPPROTO_FRAGMENT) {
      __u32 fragment = header[2] << 8 | header[3];
      if (fragment & 0xfff8) return PACKET_OTHER; /* not the first fragment */
      segment->fragment = true; /* an atomic one too: nobody probes so */
      offset += 8;
    } else if (next == IPPROTO_AH) {
      offset += (header[1] + 2) * 4;
    } else {
      offset += (header[1] + 1) * 8;
    }
    next = header[0];
  }
  return PACKET_MALFORMED;
}

/* What is in a VLAN is not for the pod's address, so nothing is said of it. */
inline_step enum packet_kind parse(struct __sk_buff *skb,
                                   struct segment *segment) {
  if (skb->protocol == bpf_htons(ETH_P_IP)) return parse_v4(skb, segment);
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) return parse_v6(skb, segment);
  return PACKET_OTHER;
}
