// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/ip.h"
#include "base/status.h"
#include "capture/enroller.h"
#include "capture/netns.h"

namespace nodeward::capture {

// Opens the agent's listening sockets in a pod: 15001 on device lo and [::1],
// 15006 on 127.0.0.1 and [::1], 15008 on [::] for both families (on 0.0.0.0
// where the pod has no IPv6). Non-blocking, without a mark (SYN-ACKs would take
// the onward rule), SO_REUSEPORT so that they may stand beside those which a
// drain has not closed yet. The IPv6 ones are absent where the pod's lo has no
// IPv6.
//
// SO_REUSEPORT would also share a port with an application of the same user, so
// a listener on one of the ports that is not of `own` (SO_COOKIE) is an error
// first: kAlreadyExists, naming the port, who holds it where that can be seen,
// and the remedy.
base::StatusOr<Listeners> OpenListeners(
    const Netns& pod, const Netns& home,
    const absl::flat_hash_set<uint64_t>& own);

// Are these what OpenListeners gives, in the namespace of that cookie? For
// sockets that another agent hands over.
base::Status CheckListeners(const Listeners& listeners, uint64_t netns_cookie);

// The SO_COOKIEs of the sockets that are there.
std::vector<uint64_t> CookiesOf(const Listeners& listeners);

}  // namespace nodeward::capture
