// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace nodeward::kernel {

// enum bpf_attach_type of Linux 6.6; older headers lack it.
inline constexpr uint32_t kTcxIngress = 46;
inline constexpr uint32_t kTcxEgress = 47;

// A hook on the host's side of a pod's veth, pinned in `directory`: as
// <ifindex> a tcx link, or as <ifindex>-clsact (-ingress) the program of a
// filter, which is not an object that can be pinned itself.
class VethHook {
 public:
  enum class Way { kToPod, kFromPod };
  VethHook(std::string directory, int ifindex, Way way = Way::kToPod)
      : directory_(std::move(directory)), ifindex_(ifindex), way_(way) {}

  // Attaches `program` (or puts it in the place of the former one), ahead of
  // whatever else is there.
  base::Status Attach(int program, bool tcx);
  // Absent is OK, and so is an interface that is gone.
  base::Status Detach();

  // The interface behind a name in `directory`; 0: no such name.
  static int InterfaceOf(const std::string& name);
  // The way of a filter's name.
  static Way WayOf(const std::string& name);

 private:
  const char* What() const;  // for errors
  std::string LinkPath() const;
  std::string FilterPath() const;
  base::Status AttachFilter(int program);
  base::Status DetachFilter();

  std::string directory_;
  int ifindex_;
  Way way_;
};

}  // namespace nodeward::kernel
