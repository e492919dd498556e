// SPDX-License-Identifier: Apache-2.0
#include "cni/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/fd.h"
#include "base/text.h"

namespace nodeward::cni {
namespace {

using base::StrCat;

constexpr size_t kLargest = 1 << 20;
constexpr size_t kPart = 64 << 10;

// Calls `take` with all of the file behind `fd`, part by part.
base::Status ReadParts(
    int fd, absl::FunctionRef<base::Status(std::string_view part)> take) {
  std::vector<char> buffer(kPart);
  for (;;) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::ErrnoStatus(errno, "read");
    if (n == 0) return base::OkStatus();
    NODEWARD_TRY(take({buffer.data(), static_cast<size_t>(n)}));
  }
}

base::StatusOr<base::Fd> OpenRegular(const std::string& path) {
  base::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return base::ErrnoStatus(errno, StrCat("open ", path));
  struct stat about {};
  if (fstat(fd.get(), &about) != 0) {
    return base::ErrnoStatus(errno, StrCat("look at ", path));
  }
  if (!S_ISREG(about.st_mode)) {
    return absl::InvalidArgumentError(StrCat(path, " is no regular file"));
  }
  return fd;
}

bool HaveSameContent(int one, int other) {
  std::vector<char> theirs(kPart);
  off_t at = 0;
  const base::Status same = ReadParts(one, [&](std::string_view part) {
    const ssize_t n = pread(other, theirs.data(), part.size(), at);
    at += n;
    return std::string_view(theirs.data(),
                            n < 0 ? 0 : static_cast<size_t>(n)) == part
               ? base::OkStatus()
               : absl::NotFoundError("another content");
  });
  return same.ok() && pread(other, theirs.data(), 1, at) == 0;
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
  return base::OkStatus();
}

using Writer = absl::FunctionRef<base::Status(int fd)>;

base::Status WriteNew(const std::string& path, mode_t mode, Writer writer) {
  unlink(path.c_str());
  const base::Fd fd(open(path.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                         0600));
  if (!fd.valid()) return base::ErrnoStatus(errno, StrCat("make ", path));
  NODEWARD_TRY(base::Annotate(writer(fd.get()), path));
  if (fsync(fd.get()) != 0) {
    return base::ErrnoStatus(errno, StrCat("sync ", path));
  }
  if (fchmod(fd.get(), mode) != 0) {
    return base::ErrnoStatus(errno, StrCat("set the mode of ", path));
  }
  return base::OkStatus();
}

base::Status Replace(const std::string& path, mode_t mode, Writer writer) {
  const std::string fresh = NewNameOf(path);
  base::Status status = WriteNew(fresh, mode, writer);
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

}  // namespace

base::StatusOr<std::string> ReadFile(const std::string& path) {
  NODEWARD_ASSIGN(const base::Fd fd, OpenRegular(path));
  std::string text;
  NODEWARD_TRY(base::Annotate(
      ReadParts(fd.get(),
                [&](std::string_view part) -> base::Status {
                  text += part;
                  if (text.size() <= kLargest) return base::OkStatus();
                  return absl::InvalidArgumentError("larger than 1 MiB");
                }),
      path));
  return text;
}

base::Status ReplaceFile(const std::string& path, std::string_view content,
                         mode_t mode) {
  return Replace(path, mode, [&](int fd) { return WriteAll(fd, content); });
}

base::Status CopyProgram(const std::string& source, const std::string& path) {
  NODEWARD_ASSIGN(const base::Fd program, OpenRegular(source));
  const auto present = OpenRegular(path);
  if (present.ok() && access(path.c_str(), X_OK) == 0 &&
      HaveSameContent(program.get(), present->get())) {
    return base::OkStatus();
  }
  if (lseek(program.get(), 0, SEEK_SET) != 0) {
    return base::ErrnoStatus(errno, StrCat("rewind ", source));
  }
  return Replace(path, 0755, [&](int fd) {
    return ReadParts(program.get(),
                     [&](std::string_view part) { return WriteAll(fd, part); });
  });
}

}  // namespace nodeward::cni
