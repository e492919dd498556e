// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "capture/netns.h"

namespace nodeward::capture {

// A kernel setting below /proc/sys with a number as its value, as one network
// namespace sees it.
struct Sysctl {
  std::string name;  // "net/ipv4/tcp_fwmark_accept"
  int value = 0;

  friend bool operator==(const Sysctl&, const Sysctl&) = default;
};

// kNotFound: this namespace has no such setting (no IPv6).
base::StatusOr<int> ReadSysctl(const Netns& netns, const Netns& home,
                               const std::string& name);

// Writes all of `settings`, those that are absent left out. Where /proc/sys is
// mounted read-only (an unprivileged container) it is done on a thread with a
// mount namespace of its own in which it is writable.
base::Status WriteSysctls(const Netns& netns, const Netns& home,
                          const std::vector<Sysctl>& settings);

}  // namespace nodeward::capture
