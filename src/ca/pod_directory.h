// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "model/identity.h"
#include "model/workload.h"

namespace nodeward::ca {

// Whoever knows which pods there are. Thread-safe.
class PodDirectory {
 public:
  using Pod = std::shared_ptr<const model::Workload>;
  virtual ~PodDirectory() = default;
  // The pod of that name, unless it has ended; null: there is none.
  // Unavailable: it could not be found out, try again.
  virtual base::StatusOr<Pod> Find(const std::string& name_space,
                                   const std::string& name) const = 0;
  // A pod on `node` with `identity`: one in the mesh if there is any, else any;
  // null: there is none. Unavailable as above.
  virtual base::StatusOr<Pod> OnNode(const std::string& node,
                                     const model::Identity& identity) const = 0;
};

}  // namespace nodeward::ca
