// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "capture/sysctl.h"
#include "capture/tcp_sockets.h"

namespace nodeward::capture {

// As in hbone::PodListeners; capture knows no engine.
struct Listeners {
  base::Fd outbound4, outbound6, inbound4, inbound6, hbone;
};

// What one agent tells another of a pod that it serves, so that the other goes
// on with it: the very sockets, and what cannot be seen from outside.
struct HandedPod {
  std::string uid;
  uint64_t netns_cookie = 0;
  Listeners listeners;
  // Plaintext connections from before the pod's capture; of each only `cookie`,
  // `local` and `remote`.
  std::vector<TcpSocket> earlier;
  std::vector<Sysctl> former_sysctls;
};

}  // namespace nodeward::capture
