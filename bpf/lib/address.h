/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Addresses in the one form of abi/capture.h: 16 bytes, IPv4 mapped. */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>

#include "nodeward/abi/capture.h"

#define AF_INET 2
#define AF_INET6 10
#define LOOPBACK_IFINDEX 1 /* in every network namespace */

#define inline_step static __attribute__((always_inline)) inline

inline_step struct nodeward_address address_v4(__be32 v4) {
  struct nodeward_address address = {};
  address.words[2] = bpf_htonl(0xffff);
  address.words[3] = v4;
  return address;
}

inline_step bool address_is_v4(const struct nodeward_address *a) {
  return !a->words[0] && !a->words[1] && a->words[2] == bpf_htonl(0xffff);
}

inline_step bool address_equal(const struct nodeward_address *a,
                               const struct nodeward_address *b) {
  return a->words[0] == b->words[0] && a->words[1] == b->words[1] &&
         a->words[2] == b->words[2] && a->words[3] == b->words[3];
}

/* "::", which in a nodeward_pod stands for "has none". */
inline_step bool address_is_zero(const struct nodeward_address *a) {
  return !a->words[0] && !a->words[1] && !a->words[2] && !a->words[3];
}

/* fe80::/10 */
inline_step bool address_is_link_local(const struct nodeward_address *a) {
  return (a->words[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* 127.0.0.0/8, 0.0.0.0, ::1 or ::, i.e. what connect() takes to the host. */
inline_step bool address_is_loopback(const struct nodeward_address *a) {
  if (address_is_v4(a))
    return !a->words[3] || (bpf_ntohl(a->words[3]) >> 24) == 127;
  return !a->words[0] && !a->words[1] && !a->words[2] &&
         (!a->words[3] || a->words[3] == bpf_htonl(1));
}
