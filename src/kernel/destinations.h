// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/ip.h"
#include "base/status.h"
#include "kernel/hooks.h"
#include "kernel/map.h"
#include "kernel/object.h"
#include "nodeward/abi/capture.h"

namespace nodeward::kernel {

// What the mesh serves, as the connect hook reads it. Only differences are
// written; what a former agent wrote is read back once. One thread.
class Destinations {
 public:
  static base::StatusOr<Destinations> Open(const SharedMaps& maps);

  // Addresses that do not fit make the hook capture everything it does not
  // know (closed, not open) until a later call fits, and are named.
  base::Status Set(const std::vector<Destination>& destinations);
  // The same, for blocks.
  base::Status SetMeshCidrs(const std::vector<base::Cidr>& cidrs);

 private:
  // Port 0: the address itself.
  using Entries = absl::flat_hash_map<base::Endpoint, uint32_t>;

  Destinations() = default;
  static Entries Wanted(const std::vector<Destination>& destinations);
  base::Status Write(const base::Endpoint& to, uint32_t action);
  base::Status Erase(const base::Endpoint& to);
  base::Status EraseGoneAddresses(const Entries& wanted);
  base::Status EraseGonePorts(const Entries& wanted);
  // Returns what did not fit.
  base::StatusOr<std::vector<base::Endpoint>> WriteChanges(
      const Entries& wanted);
  base::Status SaveSettings();

  Map<nodeward_destination_key, nodeward_destination> destinations_;
  Map<nodeward_cidr_key, uint32_t> cidrs_;
  Map<uint32_t, nodeward_settings> settings_map_;
  Entries written_;
  bool has_cidrs_ = false;
  bool overflow_ = false;  // some destinations did not fit
  bool cidr_overflow_ = false;
};

}  // namespace nodeward::kernel
