// SPDX-License-Identifier: Apache-2.0
#include "pki/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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
  // Whole at once: a string that grows would leave copies of a key behind.
  std::string text(kMaxFile + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
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

}  // namespace nodeward::pki
