// SPDX-License-Identifier: Apache-2.0
#include "admin/run_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/text.h"

namespace nodeward::admin {
namespace {

using base::StrCat;

base::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  const std::filesystem::path parent =
      std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) {
    return base::ErrnoStatus(error.value(),
                             StrCat("make directory ", parent.string()));
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::ErrnoStatus(errno, StrCat("make run directory ", path));
  }
  // Whoever owns it could put another socket in the place of ours.
  const base::Fd directory(
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) {
    return base::ErrnoStatus(errno, StrCat("open run directory ", path));
  }
  struct stat about {};
  if (fstat(directory.get(), &about) != 0) {
    return base::ErrnoStatus(errno, StrCat("look at run directory ", path));
  }
  if (about.st_uid != geteuid()) {
    return absl::PermissionDeniedError(
        StrCat("use run directory ", path, ": it belongs to user ",
               about.st_uid, "; remove it or choose another with --run-dir"));
  }
  if ((about.st_mode & 07777) != 0700 && fchmod(directory.get(), 0700) != 0) {
    return base::ErrnoStatus(errno, StrCat("make ", path, " private (0700)"));
  }
  return base::OkStatus();
}

// What the holder has written, or "unknown".
std::string Holder(int lock) {
  char text[24] = {};
  const ssize_t n = pread(lock, text, sizeof(text) - 1, 0);
  std::string pid;
  for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; ++i) {
    pid += text[i];
  }
  return pid.empty() ? "unknown" : pid;
}

base::Status WritePid(int lock, const std::string& file) {
  const std::string pid = StrCat(getpid(), "\n");
  // In this order it is never empty for somebody who reads it just now.
  if (pwrite(lock, pid.data(), pid.size(), 0) !=
          static_cast<ssize_t>(pid.size()) ||
      ftruncate(lock, static_cast<off_t>(pid.size())) != 0) {
    return base::ErrnoStatus(errno, StrCat("write process ID to ", file));
  }
  return base::OkStatus();
}

}  // namespace

base::StatusOr<RunDir> RunDir::Open(const std::string& path) {
  NODEWARD_TRY(MakeDirectory(path));
  const std::string file = StrCat(path, "/lock");
  base::Fd lock(
      open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock.valid()) {
    return base::ErrnoStatus(errno, StrCat("open lock ", file));
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return base::ErrnoStatus(errno, StrCat("lock ", file));
    }
    return absl::AlreadyExistsError(
        StrCat("lock run directory ", path, ": the agent with process ID ",
               Holder(lock.get()),
               " uses it; stop that one or choose another with --run-dir"));
  }
  NODEWARD_TRY(WritePid(lock.get(), file));
  return RunDir(path, std::move(lock));
}

base::StatusOr<RunDir> RunDir::Adopt(const std::string& path, base::Fd lock) {
  const std::string file = StrCat(path, "/lock");
  struct stat given {
  }, there{};
  if (fstat(lock.get(), &given) != 0 || stat(file.c_str(), &there) != 0 ||
      given.st_dev != there.st_dev || given.st_ino != there.st_ino) {
    return absl::FailedPreconditionError(
        StrCat("take over run directory ", path,
               ": the other agent's lock is not the one in it"));
  }
  // The lock belongs to the open file, which is the other agent's, too.
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return base::ErrnoStatus(errno, StrCat("take over lock ", file));
  }
  NODEWARD_TRY(WritePid(lock.get(), file));
  return RunDir(path, std::move(lock));
}

base::Status RunDir::Sign() const {
  return WritePid(lock_.get(), StrCat(path_, "/lock"));
}

std::string RunDir::ControlSocketIn(const std::string& run_dir) {
  return StrCat(run_dir, "/control.sock");
}

}  // namespace nodeward::admin
