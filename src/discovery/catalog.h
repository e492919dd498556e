// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "discovery/manifest.h"
#include "discovery/source.h"
#include "model/snapshot.h"

namespace nodeward::discovery {

// The objects of all files, put together to snapshots. What did not change
// from one snapshot to the next keeps its Workload's address.
class Catalog {
 public:
  // Of `options`, everything but the directory.
  explicit Catalog(ManifestOptions options) : options_(std::move(options)) {}

  // The last state of `file`, or null.
  const Manifest* Find(const std::string& file) const;
  void Put(const std::string& file, Manifest manifest);
  void Remove(const std::string& file) { files_.erase(file); }
  // Of the files whose name starts with `prefix`, keeps those for which `keep`
  // says so.
  void Retain(const std::string& prefix,
              const std::function<bool(const std::string&)>& keep);

  // `problems`: those that no file has by itself.
  model::SnapshotPtr Build(const std::vector<model::Problem>& problems);

 private:
  const ManifestOptions options_;
  std::map<std::string, Manifest> files_;
  uint64_t revision_ = 0;
};

}  // namespace nodeward::discovery
