// SPDX-License-Identifier: Apache-2.0
#include "discovery/once.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/text.h"
#include "discovery/catalog.h"
#include "discovery/folder.h"
#include "discovery/manifest.h"

namespace nodeward::discovery {
namespace {

namespace fs = std::filesystem;

base::Status Failed(const fs::path& path, const std::error_code& error) {
  return absl::NotFoundError(
      base::StrCat("read ", path.string(), ": ", error.message()));
}

// Manifests below `root`, relative, in the order of their names.
base::StatusOr<std::vector<std::string>> ListManifests(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code error;
  fs::recursive_directory_iterator entry(
      root, fs::directory_options::follow_directory_symlink, error);
  const fs::recursive_directory_iterator end;
  for (; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (name.starts_with('.')) {
      if (entry->is_directory(ignored)) entry.disable_recursion_pending();
    } else if (IsManifestName(name) && entry->is_regular_file(ignored)) {
      names.push_back(entry->path().lexically_relative(root).string());
    }
  }
  if (error) return Failed(root, error);
  std::sort(names.begin(), names.end());
  return names;
}

base::StatusOr<std::string> ReadWhole(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  // An empty file leaves a failed `text`, which is no error of reading.
  if (!file.is_open() || file.bad()) {
    return Failed(path, std::error_code(errno, std::generic_category()));
  }
  return std::move(text).str();
}

}  // namespace

base::StatusOr<model::SnapshotPtr> ReadOnce(ManifestOptions options) {
  const fs::path root = options.directory;
  std::error_code error;
  const fs::file_status status = fs::status(root, error);
  if (error) return Failed(root, error);
  const ManifestContext context{options.trust_domain, options.root_namespace};
  Catalog catalog(std::move(options));
  const auto add = [&](const std::string& name,
                       const fs::path& path) -> base::Status {
    NODEWARD_ASSIGN(const std::string text, ReadWhole(path));
    catalog.Put(name, ReadManifest(name, text, nullptr, context));
    return base::OkStatus();
  };
  if (!fs::is_directory(status)) {
    NODEWARD_TRY(add(root.string(), root));
  } else {
    NODEWARD_ASSIGN(const auto names, ListManifests(root));
    for (const std::string& name : names) NODEWARD_TRY(add(name, root / name));
  }
  return catalog.Build({});
}

model::SnapshotPtr ReadTexts(const std::vector<std::string>& texts,
                             ManifestOptions options) {
  const ManifestContext context{options.trust_domain, options.root_namespace};
  const std::string place = options.directory;
  Catalog catalog(std::move(options));
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string name = base::StrCat(place, " (", i + 1, ")");
    catalog.Put(name, ReadManifest(name, texts[i], nullptr, context));
  }
  return catalog.Build({});
}

}  // namespace nodeward::discovery
