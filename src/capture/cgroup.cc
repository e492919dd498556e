// SPDX-License-Identifier: Apache-2.0
#include "capture/cgroup.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/text.h"

namespace nodeward::capture {
namespace {

// "\040" and its like, as the kernel writes blanks in paths.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 +
                                 (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool IsCgroup2(const std::string& folder) {
  struct statfs info {};
  return statfs(folder.c_str(), &info) == 0 &&
         info.f_type == CGROUP2_SUPER_MAGIC;
}

}  // namespace

std::vector<std::string> ParseCgroup2Mounts(std::string_view mountinfo) {
  std::vector<std::string> mounts;
  for (const absl::string_view line :
       absl::StrSplit(base::ToAbsl(mountinfo), '\n')) {
    // 41 31 0:38 / /sys/fs/cgroup rw,relatime shared:1 - cgroup2 cgroup2 rw
    const std::vector<absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2 || !absl::StartsWith(halves[1], "cgroup2 "))
      continue;
    const std::vector<absl::string_view> fields =
        absl::StrSplit(halves[0], ' ');
    if (fields.size() > 4) {
      mounts.push_back(Unescape(base::FromAbsl(fields[4])));
    }
  }
  return mounts;
}

base::StatusOr<std::string> FindCgroup2Mount() {
  std::ifstream file("/proc/self/mountinfo");
  std::stringstream text;
  text << file.rdbuf();
  for (const std::string& mount : ParseCgroup2Mounts(text.str())) {
    if (access(mount.c_str(), R_OK | X_OK) == 0 && IsCgroup2(mount)) {
      return mount;
    }
  }
  return absl::NotFoundError(
      "find cgroup v2: /proc/self/mountinfo names no readable mount of type "
      "cgroup2; mount it (mount -t cgroup2 none /sys/fs/cgroup/unified), or "
      "give the agent's container the host's /sys/fs/cgroup");
}

base::StatusOr<std::string> ResolveCgroup(const std::string& configured) {
  if (configured == "auto") return FindCgroup2Mount();
  if (IsCgroup2(configured) && configured.starts_with('/')) return configured;
  NODEWARD_ASSIGN(const std::string mount, FindCgroup2Mount());
  std::string folder = mount;
  if (!configured.starts_with('/')) folder += '/';
  folder += configured;
  if (IsCgroup2(folder)) return folder;
  return absl::NotFoundError(
      base::StrCat("find cgroup '", configured, "': neither it nor ", folder,
                   " is a folder of cgroup v2; give a path below ", mount));
}

base::StatusOr<uint64_t> CgroupId(const std::string& folder) {
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0) {
    return base::ErrnoStatus(errno, "stat cgroup " + folder);
  }
  return info.st_ino;
}

base::StatusOr<std::string> FindCgroup(const std::string& mount, uint64_t id) {
  const auto is_it = [&](const std::string& folder) {
    const auto its_id = CgroupId(folder);
    return its_id.ok() && *its_id == id;
  };
  if (is_it(mount)) return mount;
  namespace fs = std::filesystem;
  std::error_code error;
  fs::recursive_directory_iterator it(
      mount, fs::directory_options::skip_permission_denied, error);
  // Cgroups come and go while this walks; a folder that vanished is an error of
  // one step only, so the walk ends there and the caller tries again later.
  for (; !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    std::error_code gone;
    if (it->is_directory(gone) && is_it(it->path().string())) {
      return it->path().string();
    }
  }
  return absl::NotFoundError(
      base::StrCat("find cgroup ", id, ": no folder below ", mount, " has it"));
}

bool IsPodCgroup(std::string_view path) {
  for (const absl::string_view part : absl::StrSplit(base::ToAbsl(path), '/')) {
    if (absl::StrContains(part, "kubepods")) return true;
    if (!absl::StartsWith(part, "pod") || part.size() < 3 + 8) continue;
    bool is_uid = true;
    for (size_t i = 3; i < 3 + 8; ++i) {
      is_uid = is_uid && std::isxdigit(static_cast<unsigned char>(part[i]));
    }
    if (is_uid) return true;
  }
  return false;
}

}  // namespace nodeward::capture
