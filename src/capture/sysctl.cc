// SPDX-License-Identifier: Apache-2.0
#include "capture/sysctl.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "base/fd.h"
#include "base/text.h"

namespace nodeward::capture {
namespace {

constexpr char kRoot[] = "/proc/sys";

std::string PathOf(const std::string& name) {
  return base::StrCat(kRoot, "/", name);
}

// The errno, 0 for done.
int WriteHere(const Sysctl& setting) {
  const base::Fd file(open(PathOf(setting.name).c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return errno;
  const std::string text = base::StrCat(setting.value);
  return write(file.get(), text.data(), text.size()) < 0 ? errno : 0;
}

base::Status WriteAllHere(const std::vector<Sysctl>& settings,
                          bool* read_only) {
  for (const Sysctl& setting : settings) {
    const int error = WriteHere(setting);
    if (error == 0 || error == ENOENT) continue;
    *read_only = error == EROFS;
    return base::ErrnoStatus(error, base::StrCat("set ", setting.name, " = ",
                                                 setting.value, " in the pod"));
  }
  return base::OkStatus();
}

// REQUIRES: a thread of its own; it keeps the mount namespace to its end.
base::Status MakeWritable() {
  if (unshare(CLONE_NEWNS) != 0) {
    return base::ErrnoStatus(errno, "make a mount namespace for /proc/sys");
  }
  if (mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return base::ErrnoStatus(errno, "make the mounts private");
  }
  if (mount("", kRoot, nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0) {
    return base::OkStatus();
  }
  // EINVAL: no mount point of its own but part of a read-only /proc.
  if (errno != EINVAL || mount(kRoot, kRoot, nullptr, MS_BIND, nullptr) != 0 ||
      mount("", kRoot, nullptr, MS_REMOUNT | MS_BIND, nullptr) != 0) {
    return base::ErrnoStatus(errno,
                             "make /proc/sys writable (needs CAP_SYS_ADMIN)");
  }
  return base::OkStatus();
}

}  // namespace

base::StatusOr<int> ReadSysctl(const Netns& netns, const Netns& home,
                               const std::string& name) {
  int value = 0;
  NODEWARD_TRY(netns.Run(home, [&]() -> base::Status {
    const base::Fd file(open(PathOf(name).c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return base::ErrnoStatus(errno, "read " + name);
    char text[32];
    const ssize_t n = read(file.get(), text, sizeof(text));
    if (n < 0) return base::ErrnoStatus(errno, "read " + name);
    if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(
                              absl::string_view(text, static_cast<size_t>(n))),
                          &value)) {
      return absl::InternalError(base::StrCat("read ", name, ": no number"));
    }
    return base::OkStatus();
  }));
  return value;
}

base::Status WriteSysctls(const Netns& netns, const Netns& home,
                          const std::vector<Sysctl>& settings) {
  bool read_only = false;
  base::Status status =
      netns.Run(home, [&] { return WriteAllHere(settings, &read_only); });
  if (status.ok() || !read_only) return status;
  std::thread([&] {
    status = MakeWritable();
    if (!status.ok()) return;
    status =
        netns.Run(home, [&] { return WriteAllHere(settings, &read_only); });
  }).join();
  return status;
}

}  // namespace nodeward::capture
