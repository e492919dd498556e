// SPDX-License-Identifier: Apache-2.0
#include "cni/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.h"
#include "base/text.h"

namespace nodeward::cni {
namespace {

using base::StrCat;

constexpr size_t kLargest = 1 << 20;
constexpr size_t kLargestProgram = 512 << 20;

base::StatusOr<std::string> ReadUpTo(const std::string& path, size_t largest) {
  const base::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return base::ErrnoStatus(errno, StrCat("open ", path));
  struct stat about {};
  if (fstat(fd.get(), &about) != 0) {
    return base::ErrnoStatus(errno, StrCat("look at ", path));
  }
  if (!S_ISREG(about.st_mode) || static_cast<size_t>(about.st_size) > largest) {
    return absl::InvalidArgumentError(StrCat(
        "read ", path, ": no regular file of at most ", largest, " bytes"));
  }
  std::string text(static_cast<size_t>(about.st_size), '\0');
  size_t got = 0;
  while (got < text.size()) {
    const ssize_t n = read(fd.get(), text.data() + got, text.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::ErrnoStatus(errno, StrCat("read ", path));
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  text.resize(got);
  return text;
}

// Beside `path`, with a name that no container runtime reads.
std::string NewNameOf(const std::string& path) {
  const size_t slash = path.rfind('/') + 1;
  return StrCat(path.substr(0, slash), ".", path.substr(slash),
                ".nodeward-new");
}

base::Status WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::ErrnoStatus(errno, "write");
    content.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(fd) != 0) return base::ErrnoStatus(errno, "sync");
  return base::OkStatus();
}

base::Status WriteNew(const std::string& path, std::string_view content,
                      mode_t mode) {
  unlink(path.c_str());
  const base::Fd fd(open(path.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                         0600));
  if (!fd.valid()) return base::ErrnoStatus(errno, StrCat("make ", path));
  NODEWARD_TRY(base::Annotate(WriteAll(fd.get(), content), path));
  if (fchmod(fd.get(), mode) != 0) {
    return base::ErrnoStatus(errno, StrCat("set the mode of ", path));
  }
  return base::OkStatus();
}

}  // namespace

base::StatusOr<std::string> ReadFile(const std::string& path) {
  return ReadUpTo(path, kLargest);
}

base::Status ReplaceFile(const std::string& path, std::string_view content,
                         mode_t mode) {
  const std::string fresh = NewNameOf(path);
  base::Status status = WriteNew(fresh, content, mode);
  if (status.ok() && rename(fresh.c_str(), path.c_str()) != 0) {
    status = base::ErrnoStatus(errno, StrCat("rename ", fresh, " to ", path));
  }
  if (!status.ok()) {
    unlink(fresh.c_str());
    return status;
  }
  const base::Fd folder(open(path.substr(0, path.rfind('/') + 1).c_str(),
                             O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // The name may be lost if the power fails now, the file is whole.
  if (folder.valid()) (void)fsync(folder.get());
  return base::OkStatus();
}

base::Status CopyProgram(const std::string& source, const std::string& path) {
  NODEWARD_ASSIGN(const std::string program, ReadUpTo(source, kLargestProgram));
  const auto present = ReadUpTo(path, kLargestProgram);
  if (present.ok() && *present == program && access(path.c_str(), X_OK) == 0) {
    return base::OkStatus();
  }
  return ReplaceFile(path, program, 0755);
}

}  // namespace nodeward::cni
