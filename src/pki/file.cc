// SPDX-License-Identifier: Apache-2.0
#include "pki/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/fd.h"
#include "base/text.h"
#include "pki/key.h"

namespace nodeward::pki {
namespace {

constexpr size_t kMaxFile = 1 << 20;

}  // namespace

base::StatusOr<File> ReadFile(const std::string& path) {
  // O_NONBLOCK: a FIFO in its place must not hang the start.
  base::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return base::ErrnoStatus(errno, base::StrCat("open ", path));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) {
    return base::ErrnoStatus(errno, base::StrCat("look at ", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        base::StrCat("read ", path, ": not a regular file"));
  }
  // One byte more than there should be, so that the end is seen without a
  // string that grows: it would leave copies of a key behind.
  std::string text(std::min(static_cast<size_t>(info.st_size), kMaxFile) + 1,
                   '\0');
  size_t size = 0;
  for (;;) {
    if (size == text.size()) {
      if (size > kMaxFile) break;
      std::string larger(std::min(2 * size, kMaxFile + 1), '\0');
      text.copy(larger.data(), size);
      Wipe(&text);
      text = std::move(larger);
    }
    const ssize_t n = read(fd.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      Wipe(&text);
      return base::ErrnoStatus(error, base::StrCat("read ", path));
    }
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > kMaxFile) {
    Wipe(&text);
    return absl::FailedPreconditionError(
        base::StrCat("read ", path, ": larger than ", kMaxFile, " bytes"));
  }
  text.resize(size);
  return File{std::move(text), (info.st_mode & 077) != 0};
}

base::Status WriteNewFile(const std::string& path, std::string_view text,
                          mode_t mode) {
  base::Fd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd.valid()) {
    return base::ErrnoStatus(errno, base::StrCat("create ", path));
  }
  while (!text.empty()) {
    const ssize_t n = write(fd.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::ErrnoStatus(errno, base::StrCat("write ", path));
    text.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(fd.get()) != 0) {
    return base::ErrnoStatus(errno, base::StrCat("sync ", path));
  }
  return base::OkStatus();
}

base::Status SyncFolder(const std::string& folder) {
  base::Fd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) {
    return base::ErrnoStatus(errno, base::StrCat("sync folder ", folder));
  }
  return base::OkStatus();
}

}  // namespace nodeward::pki
