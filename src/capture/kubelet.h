// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "capture/tcp_sockets.h"

namespace nodeward::capture {

// The kubelet's cgroup: the one from which probes are believed.
struct KubeletCgroup {
  uint64_t id = 0;
  std::string folder;
};

// Which cgroup all of the kubelet's `listeners` belong to. An error: there are
// none, one is not root's, or they are of several cgroups.
base::StatusOr<uint64_t> CgroupOfListeners(
    const std::vector<TcpSocket>& listeners, uint16_t port);

// Finds it again and again: a restarted kubelet may stand in a new cgroup.
class KubeletFinder {
 public:
  // `configured`: "auto", or a path as for ResolveCgroup. `port`: the one that
  // the kubelet listens on.
  KubeletFinder(std::string configured, uint16_t port)
      : configured_(std::move(configured)), port_(port) {}

  // REQUIRES: the calling thread is in the node's namespace. Cheap when nothing
  // has changed. An error says why no process can be taken for the kubelet;
  // then no probe is exempt.
  base::StatusOr<KubeletCgroup> Find();

 private:
  base::StatusOr<KubeletCgroup> FindByPort();
  base::StatusOr<KubeletCgroup> FindByPath();
  // The folder of cgroup `id`; walks only when it is another than last time.
  base::StatusOr<std::string> FolderOf(uint64_t id);

  const std::string configured_;
  const uint16_t port_;
  std::string mount_;   // of cgroup v2; empty: not looked for yet
  KubeletCgroup last_;  // what FolderOf found last
};

}  // namespace nodeward::capture
