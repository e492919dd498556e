// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/status.h"
#include "kernel/hooks.h"
#include "kernel/map.h"
#include "kernel/object.h"
#include "nodeward/abi/capture.h"

namespace nodeward::kernel {

// The connect, getpeername and sock_ops hooks of the node and what belongs to
// them, but for the destinations. One thread, except where it says otherwise.
class Outbound {
 public:
  // Loads the programs. Nothing is attached yet.
  static base::StatusOr<Outbound> Load(SharedMaps& maps,
                                       const Features& features);

  // Attaches to the cgroup at `path`, pinned in `directory`, or updates what is
  // pinned there. Links that point at another cgroup are replaced.
  base::Status Attach(const std::string& directory, const std::string& path);

  base::Status Enable(uint64_t cookie, const base::IpAddress* v4,
                      const base::IpAddress* v6);
  base::Status Disable(uint64_t cookie);
  std::vector<uint64_t> Pods() const { return pods_.Keys(); }

  // Any thread.
  base::Status TagAgentSocket(int fd) const;
  std::optional<base::Endpoint> TakeFlow(uint64_t cookie,
                                         const base::Endpoint& application,
                                         const base::Endpoint& listener) const;

 private:
  struct Program {
    const char* name;  // of the program and of its pin
    uint32_t hook;
    base::Fd fd;
  };
  Outbound() = default;

  std::vector<Program> programs_;
  Map<uint64_t, nodeward_pod> pods_;
  Map<nodeward_tuple, nodeward_endpoint> flows_;
  Map<int, uint32_t> agent_sockets_;
};

}  // namespace nodeward::kernel
