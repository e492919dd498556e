// SPDX-License-Identifier: Apache-2.0
#include "model/volume.h"

#include <string.h>

#include <string_view>

#include "base/text.h"
#include "model/workload.h"

namespace nodeward::model {
namespace {

base::Status Wrong(const std::string& path, std::string_view why) {
  return absl::InvalidArgumentError(base::StrCat(path, ": ", why));
}

// Absolute, and spelt in the one way that has nothing to resolve.
bool IsPlain(std::string_view path) {
  if (!path.starts_with('/') || path.find('\0') != std::string_view::npos) {
    return false;
  }
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment.empty() || segment == "." || segment == "..") return false;
    path.remove_prefix(segment.size());
  }
  return true;
}

// What of `path` lies below `folder`; empty: nothing.
std::string_view Below(std::string_view path, std::string_view folder) {
  if (!path.starts_with(folder)) return {};
  path.remove_prefix(folder.size());
  if (!path.starts_with('/')) return {};
  return path.substr(1);
}

const ProxyMount* FindMount(const Workload& workload, const std::string& path) {
  const ProxyMount* deepest = nullptr;
  for (const ProxyMount& mount : workload.proxy_mounts) {
    if (Below(path, mount.path).empty()) continue;
    if (deepest == nullptr || mount.path.size() > deepest->path.size()) {
      deepest = &mount;
    }
  }
  return deepest;
}

}  // namespace

FileSet::~FileSet() {
  for (auto& [key, content] : files) {
    explicit_bzero(content.data(), content.size());
  }
}

base::StatusOr<const std::string*> FindFile(const Workload& workload,
                                            const FileSets& sets,
                                            const std::string& path) {
  if (!IsPlain(path)) {
    return Wrong(path,
                 "must be an absolute path without '.', '..' or empty parts");
  }
  const ProxyMount* const mount = FindMount(workload, path);
  if (mount == nullptr) {
    return Wrong(path,
                 base::StrCat("no volume of pod ", workload.QualifiedName(),
                              " is mounted there (annotations sidecar.istio.io/"
                              "userVolume and userVolumeMount)"));
  }
  if (!mount->flaw.empty()) return Wrong(path, mount->flaw);
  const std::string title =
      base::StrCat(mount->kind, " ", workload.name_space, "/", mount->source);
  const auto set = sets.find({mount->kind, workload.name_space, mount->source});
  if (set == sets.end()) {
    return Wrong(path, base::StrCat("there is no ", title, " for volume ",
                                    mount->volume));
  }
  std::string key(Below(path, mount->path));
  if (!mount->items.empty()) {
    std::string found;
    for (const auto& [item, place] : mount->items) {
      if (place == key) found = item;
    }
    key = found;
  }
  const auto file = set->second->files.find(key);
  if (file == set->second->files.end()) {
    return absl::NotFoundError(
        base::StrCat(path, ": ", title, " has no such file"));
  }
  return &file->second;
}

}  // namespace nodeward::model
