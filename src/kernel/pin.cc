// SPDX-License-Identifier: Apache-2.0
#include "kernel/pin.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>

#include "absl/strings/str_format.h"
#include "base/handle.h"
#include "base/text.h"

namespace nodeward::kernel {
namespace {

bool IsVersion(std::string_view name) {
  if (name.ends_with(kUnfinished)) name.remove_suffix(kUnfinished.size());
  return name.size() > 1 && name[0] == 'v' &&
         name.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

}  // namespace

bool IsOnBpfFileSystem(const std::string& path) {
  struct statfs fs;
  return statfs(path.c_str(), &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

bool PathExists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

base::Status MakePinDirectory(const std::string& path) {
  size_t slash = path.find_last_of('/');
  bool exists = PathExists(path);
  if (exists && IsOnBpfFileSystem(path)) return base::OkStatus();
  if (exists || slash == std::string::npos || slash == 0)
    return absl::FailedPreconditionError(base::StrCat(
        "pin BPF objects in ", path,
        ": not on a BPF file system (mount one: mount -t bpf bpf /sys/fs/bpf; "
        "and set bpfDir to a folder below it)"));
  NODEWARD_TRY(MakePinDirectory(path.substr(0, slash)));
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return base::ErrnoStatus(errno, base::StrCat("make ", path));
  return base::OkStatus();
}

std::vector<std::string> ListDirectory(const std::string& path) {
  std::vector<std::string> names;
  base::Handle<DIR, closedir> directory(opendir(path.c_str()));
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory.get())) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string NameOf(uint64_t cookie) { return absl::StrFormat("%016x", cookie); }

std::vector<uint64_t> CookiesIn(const std::string& directory) {
  std::vector<uint64_t> cookies;
  for (const std::string& name : ListDirectory(directory)) {
    uint64_t cookie = 0;
    auto [end, error] =
        std::from_chars(name.data(), name.data() + name.size(), cookie, 16);
    if (error == std::errc() && end == name.data() + name.size())
      cookies.push_back(cookie);
  }
  return cookies;
}

std::vector<std::string> ListVersions(const std::string& bpf_dir) {
  // A folder elsewhere holds no pins, hence nothing of ours.
  if (!IsOnBpfFileSystem(bpf_dir)) return {};
  std::vector<std::string> names = ListDirectory(bpf_dir);
  std::erase_if(names,
                [](const std::string& name) { return !IsVersion(name); });
  return names;
}

base::Status Pin(int fd, const std::string& path) {
  std::string aside = base::StrCat(path, kUnfinished);
  NODEWARD_TRY(RemovePin(aside));
  if (bpf_obj_pin(fd, aside.c_str()) != 0)
    return base::ErrnoStatus(errno, base::StrCat("pin ", path));
  return RenamePin(aside, path);
}

base::StatusOr<base::Fd> OpenPin(const std::string& path) {
  int fd = bpf_obj_get(path.c_str());
  if (fd >= 0) return base::Fd(fd);
  if (errno == ENOENT)
    return absl::NotFoundError(base::StrCat("open pin ", path, ": none"));
  return base::ErrnoStatus(errno, base::StrCat("open pin ", path));
}

base::Status RenamePin(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return base::OkStatus();
  return base::ErrnoStatus(errno,
                           base::StrCat("rename pin ", from, " to ", to));
}

base::Status RemovePin(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return base::OkStatus();
  if (errno != EISDIR && errno != EPERM)
    return base::ErrnoStatus(errno, base::StrCat("remove pin ", path));
  for (const std::string& name : ListDirectory(path))
    NODEWARD_TRY(RemovePin(base::StrCat(path, "/", name)));
  if (rmdir(path.c_str()) == 0 || errno == ENOENT) return base::OkStatus();
  return base::ErrnoStatus(errno, base::StrCat("remove ", path));
}

PinKind KindOf(int fd) {
  char target[64] = {};
  std::string link = base::StrCat("/proc/self/fd/", fd);
  if (readlink(link.c_str(), target, sizeof(target) - 1) < 0)
    return PinKind::kOther;
  std::string_view text = target;
  // "anon_inode:bpf-map", "…:bpf-prog"; links are "bpf_link" or "bpf-link".
  if (text.find("map") != std::string_view::npos) return PinKind::kMap;
  if (text.find("prog") != std::string_view::npos) return PinKind::kProgram;
  if (text.find("link") != std::string_view::npos) return PinKind::kLink;
  return PinKind::kOther;
}

}  // namespace nodeward::kernel
