// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/status.h"

namespace nodeward::model {

struct Workload;

// The content of a ConfigMap or a Secret, by key. Wiped when it goes.
struct FileSet {
  FileSet() = default;
  ~FileSet();
  FileSet(const FileSet&) = delete;
  FileSet& operator=(const FileSet&) = delete;

  std::string kind;  // "ConfigMap", "Secret"
  std::string name_space;
  std::string name;
  std::map<std::string, std::string> files;
};

// Kind, namespace, name.
using FileSetKey = std::tuple<std::string, std::string, std::string>;
using FileSets =
    absl::flat_hash_map<FileSetKey, std::shared_ptr<const FileSet>>;

// A volume that a pod's annotations sidecar.istio.io/userVolume and
// userVolumeMount put before its proxy, which here is the agent. It exists in
// memory alone.
struct ProxyMount {
  std::string path;    // "/pem"
  std::string volume;  // its name, for messages
  std::string kind;    // of the FileSet
  std::string source;  // its name; it lies in the pod's own namespace
  // Which keys are there, under which relative path; empty: all, as they are.
  std::map<std::string, std::string> items;
  std::string flaw;  // not empty: nothing of it can be read, and why

  friend bool operator==(const ProxyMount&, const ProxyMount&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const ProxyMount& mount) {
    return H::combine(std::move(h), mount.path, mount.volume, mount.kind,
                      mount.source, mount.flaw);
  }
};

// The content at `path` as the pod's proxy would see it. `path` is looked up in
// the workload's proxy_mounts alone, by its spelling: nobody's file system is
// asked, and "..", "." and empty segments are refused. Borrowed from `sets`.
// The error names the path and what is missing; kNotFound only for a file that
// is not there in a volume that is.
base::StatusOr<const std::string*> FindFile(const Workload& workload,
                                            const FileSets& sets,
                                            const std::string& path);

}  // namespace nodeward::model
