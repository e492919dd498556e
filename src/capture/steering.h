// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/status.h"
#include "capture/netns.h"
#include "capture/sysctl.h"

namespace nodeward::capture {

// What lets the agent speak to a pod's application from the client's own
// address. An onward packet leaves through lo because its socket is bound to
// that device; the application's answer, addressed to the client, must come
// back to the agent instead of leaving through eth0:
//   ip rule add pref 50 fwmark 0x111 lookup 273
//   ip route add local default dev lo table 273
// and the answer carries the mark because of tcp_fwmark_accept (both families)
// and fwmark_reflect (the RST of a closed port).
inline constexpr int kSteeringTable = 0x111;
inline constexpr int kSteeringPreference = 50;

// Puts rules, routes and sysctls in place; fine when they are. Returns the
// former values of the sysctls it changed. Where an earlier agent's rule stands
// already these are the kernel's defaults, since nobody knows better.
base::StatusOr<std::vector<Sysctl>> InstallSteering(const Netns& pod,
                                                    const Netns& home);
// Takes them away again; fine when they are gone.
base::Status RemoveSteering(const Netns& pod, const Netns& home,
                            const std::vector<Sysctl>& former);
// Is the rule there (either family)?
base::StatusOr<bool> HasSteering(const Netns& pod, const Netns& home);
// The sysctls with the kernel's default values, for RemoveSteering.
std::vector<Sysctl> DefaultSysctls();

}  // namespace nodeward::capture
