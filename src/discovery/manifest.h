// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "discovery/objects.h"

namespace nodeward::discovery {

struct ManifestContext {
  std::string trust_domain = "cluster.local";
  std::string root_namespace = "istio-system";
};

// What one file says, as far as it could be read.
struct Manifest {
  std::vector<Object> objects;
  std::vector<model::Problem> problems;
  std::map<std::string, int> ignored_kinds;
  // The whole file was well-formed YAML or JSON at least once.
  bool parsed = false;
  // What messages name in the file's stead; null: the file. Of static life.
  const std::string* place = nullptr;
};

// Reads `text`, the new content of `file` (its path for messages). What is
// broken in it keeps the last good state that `last` (null: none) has of it:
// - a text that is no YAML: every object of the file;
// - an object with a flaw: that object, found by kind, namespace and name; an
//   object too broken to be found by these: every one that the new text lacks.
// Where there is no last good state, what can be used of an object is used,
// and a security object closes what it could concern.
Manifest ReadManifest(const std::string& file, std::string_view text,
                      const Manifest* last, const ManifestContext& context);

// The same for one object of the Kubernetes API. `last` is what was read of it
// before, or null.
Manifest ReadApiObject(base::Json object, const Manifest* last,
                       const ManifestContext& context);

}  // namespace nodeward::discovery
