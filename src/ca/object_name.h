// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace nodeward::ca {

// An object's place in a Kubernetes API.
struct ObjectName {
  std::string name_space;
  std::string name;

  std::string ToString() const { return name_space + "/" + name; }
};

// "nodeward-system/nodeward-ca"; names as Kubernetes allows them, so that they
// can stand in a path as they are.
base::StatusOr<ObjectName> ParseObjectName(std::string_view text);

}  // namespace nodeward::ca
