// SPDX-License-Identifier: Apache-2.0
#include "discovery/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/fd.h"
#include "base/handle.h"
#include "base/text.h"

namespace nodeward::discovery {
namespace {

constexpr off_t kMaxFile = off_t{64} << 20;
constexpr int kMaxDepth = 16;
constexpr std::string_view kWhy =
    "; manifests say which network namespaces to enter, so only root may be "
    "able to change them: ";

class Lister {
 public:
  Lister(const std::string& root, FolderVisitor* visitor)
      : root_(root), visitor_(visitor) {}

  void Enter(const std::string& relative, int depth);
  Listing listing;

 private:
  void Visit(const std::string& relative, const struct stat& info, bool link,
             int depth);
  std::string PathOf(const std::string& relative) const {
    return relative.empty() ? root_ : root_ + "/" + relative;
  }

  const std::string& root_;
  FolderVisitor* const visitor_;
  std::set<std::pair<dev_t, ino_t>> entered_;  // links may lead in circles
};

void Lister::Enter(const std::string& relative, int depth) {
  const std::string path = PathOf(relative);
  const auto bar = [&](const base::Status& status) {
    listing.barred[relative] = std::string(status.message());
  };
  base::Handle<DIR, closedir> stream(opendir(path.c_str()));
  if (stream == nullptr) {
    // Gone since it was listed: not barred, just gone.
    if (errno != ENOENT) bar(base::ErrnoStatus(errno, "list " + path));
    return;
  }
  struct stat info {};
  if (fstat(dirfd(stream.get()), &info) != 0) {
    return bar(base::ErrnoStatus(errno, "stat " + path));
  }
  if (const auto trusted = CheckTrusted(info, path); !trusted.ok()) {
    return bar(trusted);
  }
  if (!entered_.emplace(info.st_dev, info.st_ino).second) return;
  if (depth > kMaxDepth) {
    return bar(absl::InvalidArgumentError(base::StrCat(
        "list ", path, ": more than ", kMaxDepth, " levels deep")));
  }
  if (visitor_ != nullptr) {
    if (const auto status = visitor_->OnFolder(relative, path); !status.ok()) {
      return bar(status);
    }
  }
  listing.folders[relative] = {info.st_dev, info.st_ino, false};
  // In a fixed order, and links last: what two paths lead to is known by the
  // same one at every scan.
  struct Entry {
    bool link;
    std::string name;
    struct stat target;
  };
  std::vector<Entry> entries;
  while (const dirent* item = readdir(stream.get())) {
    Entry entry{false, item->d_name, {}};
    struct stat self {};
    if (entry.name.starts_with('.') ||
        fstatat(dirfd(stream.get()), item->d_name, &entry.target, 0) != 0) {
      continue;
    }
    entry.link = fstatat(dirfd(stream.get()), item->d_name, &self,
                         AT_SYMLINK_NOFOLLOW) == 0 &&
                 S_ISLNK(self.st_mode);
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.link, a.name) < std::tie(b.link, b.name);
  });
  for (const Entry& entry : entries) {
    Visit(relative.empty() ? entry.name : relative + "/" + entry.name,
          entry.target, entry.link, depth);
  }
}

void Lister::Visit(const std::string& relative, const struct stat& info,
                   bool link, int depth) {
  if (S_ISDIR(info.st_mode)) {
    Enter(relative, depth + 1);
  } else if (IsManifestName(relative.substr(relative.rfind('/') + 1))) {
    listing.files[relative] = {info.st_dev, info.st_ino, link};
  }
}

}  // namespace

base::Status CheckTrusted(const struct stat& info, const std::string& path) {
  if (info.st_uid != 0) {
    return absl::PermissionDeniedError(
        base::StrCat("read ", path, ": it belongs to uid ", info.st_uid, kWhy,
                     "chown root ", path));
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::PermissionDeniedError(base::StrCat(
        "read ", path, ": mode ", absl::StrFormat("%04o", info.st_mode & 07777),
        " lets others write", kWhy, "chmod go-w ", path));
  }
  return base::OkStatus();
}

base::Status CheckFolder(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    const int error = errno;
    return base::ErrnoStatus(
        error, base::StrCat("open manifest directory ", path,
                            error == ENOENT ? " (make it: mkdir -p, or name "
                                              "another one)"
                                            : ""));
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(base::StrCat(
        "open manifest directory ", path,
        ": not a directory; name the directory that the files are in"));
  }
  return CheckTrusted(info, path);
}

base::StatusOr<std::string> ReadTrusted(const std::string& path) {
  // Not blocking: a FIFO by that name must not stop the agent.
  base::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    const int error = errno;
    const base::Status status = base::ErrnoStatus(error, "open " + path);
    return error == ENOENT ? absl::NotFoundError(status.message()) : status;
  }
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) {
    return base::ErrnoStatus(errno, "stat " + path);
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError("read " + path + ": not a regular file");
  }
  NODEWARD_TRY(CheckTrusted(info, path));
  std::string text;
  while (text.size() <= static_cast<size_t>(kMaxFile)) {
    const size_t had = text.size();
    text.resize(had + 65536);
    const ssize_t got = read(fd.get(), text.data() + had, 65536);
    text.resize(had + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got == 0) return text;
    if (got < 0 && errno != EINTR) {
      return base::ErrnoStatus(errno, "read " + path);
    }
  }
  return absl::ResourceExhaustedError(
      base::StrCat("read ", path, ": larger than 64 MiB; split it"));
}

bool IsManifestName(std::string_view name) {
  return !name.starts_with('.') &&
         (name.ends_with(".yaml") || name.ends_with(".yml") ||
          name.ends_with(".json"));
}

Listing ListFolder(const std::string& root, FolderVisitor* visitor) {
  Lister lister(root, visitor);
  lister.Enter("", 0);
  return std::move(lister.listing);
}

}  // namespace nodeward::discovery
