// SPDX-License-Identifier: Apache-2.0
#include "capture/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "base/log.h"
#include "base/text.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace nodeward::capture {
namespace {

constexpr char kOwnPath[] = "/proc/thread-self/ns/net";

// The cookie of the namespace the calling thread is in.
base::StatusOr<uint64_t> CookieHere() {
  const base::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return base::ErrnoStatus(errno, "open socket");
  uint64_t cookie = 0;
  socklen_t length = sizeof(cookie);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) !=
      0) {
    return base::ErrnoStatus(errno,
                             "read the namespace's cookie (needs Linux 5.14)");
  }
  return cookie;
}

void ReturnOrDie(const Netns& home) {
  if (setns(home.fd(), CLONE_NEWNET) == 0) return;
  base::LogError("cannot leave a pod's network namespace; ending the agent",
                 {{"error", base::ErrnoStatus(errno, "setns").ToString()}});
  abort();
}

}  // namespace

base::StatusOr<NetnsPtr> Netns::Own() {
  base::Fd fd(open(kOwnPath, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return base::ErrnoStatus(errno, "open the agent's own network namespace");
  }
  return FromFd(std::move(fd), nullptr, kOwnPath);
}

base::StatusOr<NetnsPtr> Netns::Open(const std::string& path) {
  // O_NONBLOCK: the path comes from an annotation and may be a FIFO.
  base::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    const int error = errno;
    return base::ErrnoStatus(
        error, base::StrCat("open network namespace ", path,
                            error == ENOENT
                                ? " (gone, or the annotation nodeward.io/netns "
                                  "names a wrong path)"
                                : ""));
  }
  NODEWARD_ASSIGN(const NetnsPtr home, Own());
  return FromFd(std::move(fd), home.get(), path);
}

base::StatusOr<NetnsPtr> Netns::FromFd(base::Fd fd, const Netns* home,
                                       const std::string& path) {
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) {
    return base::ErrnoStatus(errno, "stat " + path);
  }
  // What `ip netns del` leaves for an instant is an ordinary file.
  if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return absl::InvalidArgumentError(
        base::StrCat("open network namespace ", path,
                     ": it is no network namespace (expected a file as made by "
                     "`ip netns add` or a container runtime)"));
  }
  const std::shared_ptr<Netns> netns(
      new Netns(std::move(fd), info.st_dev, info.st_ino));
  const auto read_cookie = [&]() -> base::Status {
    NODEWARD_ASSIGN(netns->cookie_, CookieHere());
    return base::OkStatus();
  };
  NODEWARD_TRY(base::Annotate(
      home == nullptr ? read_cookie() : netns->Run(*home, read_cookie), path));
  return netns;
}

bool Netns::IsAt(const std::string& path) const {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && info.st_ino == inode_ &&
         info.st_dev == device_;
}

base::Status Netns::Run(const Netns& home,
                        absl::FunctionRef<base::Status()> work) const {
  if (setns(fd(), CLONE_NEWNET) != 0) {
    return base::ErrnoStatus(
        errno, "enter the pod's network namespace (needs CAP_SYS_ADMIN)");
  }
  base::Status status = work();
  ReturnOrDie(home);
  return status;
}

}  // namespace nodeward::capture
