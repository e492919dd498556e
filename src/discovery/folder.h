// SPDX-License-Identifier: Apache-2.0
//
// The file system under the manifest directory, at one moment. Symbolic links
// are followed. What others than root could write is not read: a manifest says
// which network namespaces to enter.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>
#include <string_view>

#include "base/status.h"

namespace nodeward::discovery {

// OK if only root can change what `info` describes; `path` is for the message.
base::Status CheckTrusted(const struct stat& info, const std::string& path);

// Opens nothing, follows links: a directory that only root can change.
base::Status CheckFolder(const std::string& path);

// The content of a regular file of at most 64 MiB that only root can change.
// NotFound when there is none.
base::StatusOr<std::string> ReadTrusted(const std::string& path);

// "x.yaml", "x.yml", "x.json", but not hidden ones (editors' and ConfigMaps'
// own files).
bool IsManifestName(std::string_view name);

// Which file it is, whatever its content.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool link = false;  // the path is a symbolic link

  friend bool operator==(const FileId&, const FileId&) = default;
};

struct Listing {
  std::map<std::string, FileId> folders;  // relative; "" is the top
  std::map<std::string, FileId> files;    // relative, manifests only
  // What cannot be entered: relative path -> why.
  std::map<std::string, std::string> barred;
};

// Hears of every folder before it is listed, so that nothing that appears
// there meanwhile can be missed.
class FolderVisitor {
 public:
  virtual base::Status OnFolder(const std::string& relative,
                                const std::string& path) = 0;

 protected:
  ~FolderVisitor() = default;
};

// Lists everything below `root`, hidden entries excepted.
Listing ListFolder(const std::string& root, FolderVisitor* visitor);

}  // namespace nodeward::discovery
