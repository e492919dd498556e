// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace nodeward::cni {

// What the API server answered when it was asked for a pod and its namespace:
// HTTP status and object of each.
struct Sighting {
  int pod_status = 0;
  base::Json pod;
  int namespace_status = 0;
  base::Json name_space;
};

struct Decision {
  enum class Kind {
    kInMesh,   // opted in: to be captured before it starts
    kOutside,  // it may start as it is
    kNotHere,  // the API server has no such pod on this node
    kUnknown,  // the API server did not say
  };
  Kind kind = Kind::kUnknown;
  std::string reason;
};

// Is that pod of the mesh? `uid` is the runtime's word for it (empty: it did
// not tell), `node` where it is (empty: not known).
Decision Decide(const Sighting& sighting, const std::string& uid,
                const std::string& node);

// The namespaces that there are, and whether pods of the mesh may start in
// each: it is opted in, or a pod in it by its own label. What the plugin goes
// by when neither agent nor API server answers.
using KnownNamespaces = std::map<std::string, bool>;
std::string TextOf(const KnownNamespaces& namespaces);
base::StatusOr<KnownNamespaces> ReadKnownNamespaces(std::string_view text);

}  // namespace nodeward::cni
