// SPDX-License-Identifier: Apache-2.0
#include "capture/listeners.h"

#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "base/text.h"
#include "capture/tcp_sockets.h"
#include "io/socket.h"
#include "nodeward/abi/capture.h"

namespace nodeward::capture {
namespace {

constexpr int kBacklog = 4096;
constexpr uint16_t kPorts[] = {NODEWARD_PORT_OUTBOUND, NODEWARD_PORT_INBOUND,
                               NODEWARD_PORT_HBONE};

base::Status Taken(uint16_t port, const std::string& holder) {
  return absl::AlreadyExistsError(base::StrCat(
      "open the agent's port ", port, " in the pod: the application",
      holder.empty() ? "" : base::StrCat(" (", holder, ")"),
      " listens there already; move it to another port (", kPorts[0], ", ",
      kPorts[1], " and ", kPorts[2], " are the mesh's in every pod)"));
}

// Does process `pid` hold the socket `target` ("socket:[123]")?
bool Holds(const std::string& pid, const std::string& target) {
  const std::string folder = base::StrCat("/proc/", pid, "/fd");
  DIR* const fds = opendir(folder.c_str());
  if (fds == nullptr) return false;
  bool found = false;
  while (const dirent* entry = readdir(fds)) {
    char link[64];
    const ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link));
    if (n > 0 && std::string_view(link, static_cast<size_t>(n)) == target) {
      found = true;
      break;
    }
  }
  closedir(fds);
  return found;
}

// "gunicorn, pid 1234" for the process that holds socket `inode`; empty when
// it cannot be seen (another pid namespace, no CAP_SYS_PTRACE).
std::string HolderOf(uint32_t inode) {
  const std::string target = base::StrCat("socket:[", inode, "]");
  DIR* const proc = opendir("/proc");
  if (proc == nullptr) return "";
  std::string holder;
  while (const dirent* entry = readdir(proc)) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry->d_name, &pid)) continue;
    if (!Holds(entry->d_name, target)) continue;
    std::string name;
    std::getline(std::ifstream(base::StrCat("/proc/", pid, "/comm")), name);
    holder = base::StrCat(name, ", pid ", pid);
    break;
  }
  closedir(proc);
  return holder;
}

struct Place {
  const char* address;
  uint16_t port;
  bool lo_only = false;
  bool both_families = false;
};

base::Status SetOption(const base::Fd& fd, int level, int option, int value,
                       std::string_view what) {
  if (setsockopt(fd.get(), level, option, &value, sizeof(value)) != 0) {
    return base::ErrnoStatus(errno, base::StrCat("set ", what));
  }
  return base::OkStatus();
}

// REQUIRES: the calling thread is in the pod's namespace. No descriptor: an
// IPv6 address where the kernel, or the pod's lo, has no IPv6.
base::StatusOr<base::Fd> Listen(const Place& place) {
  NODEWARD_ASSIGN(const base::IpAddress address,
                  base::IpAddress::Parse(place.address));
  const base::Endpoint endpoint{address, place.port};
  const std::string what = "open the agent's port " + endpoint.ToString();
  base::Fd fd(
      socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    if (errno == EAFNOSUPPORT && !address.is_v4()) return base::Fd();
    return base::ErrnoStatus(errno, what);
  }
  // REUSEADDR: connections of a former agent in TIME_WAIT hold the port.
  NODEWARD_TRY(SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
  NODEWARD_TRY(SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT"));
  if (address.family() == AF_INET6) {
    NODEWARD_TRY(SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY,
                           place.both_families ? 0 : 1, "IPV6_V6ONLY"));
  }
  if (place.lo_only &&
      setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) != 0) {
    return base::ErrnoStatus(errno, what + " on lo");
  }
  sockaddr_storage sockaddr;
  const socklen_t length = endpoint.ToSockaddr(&sockaddr);
  if (bind(fd.get(), reinterpret_cast<struct sockaddr*>(&sockaddr), length) !=
          0 ||
      listen(fd.get(), kBacklog) != 0) {
    if (errno == EADDRNOTAVAIL && !address.is_v4()) return base::Fd();
    if (errno == EADDRINUSE) return Taken(place.port, "");
    return base::ErrnoStatus(errno, what);
  }
  return fd;
}

base::Status RefuseForeign(TcpSockets& sockets,
                           const absl::flat_hash_set<uint64_t>& own) {
  for (const uint16_t port : kPorts) {
    NODEWARD_ASSIGN(const auto listeners, sockets.Listeners(port));
    for (const TcpSocket& listener : listeners) {
      if (own.contains(listener.cookie)) continue;
      return Taken(port, HolderOf(listener.inode));
    }
  }
  return base::OkStatus();
}

}  // namespace

base::StatusOr<Listeners> OpenListeners(
    const Netns& pod, const Netns& home,
    const absl::flat_hash_set<uint64_t>& own) {
  Listeners opened;
  const base::Status status = pod.Run(home, [&]() -> base::Status {
    NODEWARD_ASSIGN(TcpSockets sockets, TcpSockets::Open());
    NODEWARD_TRY(RefuseForeign(sockets, own));
    NODEWARD_ASSIGN(opened.outbound4,
                    Listen({"0.0.0.0", NODEWARD_PORT_OUTBOUND, true}));
    NODEWARD_ASSIGN(opened.inbound4,
                    Listen({"127.0.0.1", NODEWARD_PORT_INBOUND}));
    NODEWARD_ASSIGN(opened.outbound6, Listen({"::1", NODEWARD_PORT_OUTBOUND}));
    NODEWARD_ASSIGN(opened.inbound6, Listen({"::1", NODEWARD_PORT_INBOUND}));
    NODEWARD_ASSIGN(opened.hbone,
                    Listen({"::", NODEWARD_PORT_HBONE, false, true}));
    if (opened.hbone.valid()) return base::OkStatus();
    NODEWARD_ASSIGN(opened.hbone, Listen({"0.0.0.0", NODEWARD_PORT_HBONE}));
    return base::OkStatus();
  });
  NODEWARD_TRY(status);
  return opened;
}

base::Status CheckListeners(const Listeners& listeners, uint64_t netns_cookie) {
  const struct {
    const base::Fd& fd;
    uint16_t port;
    bool needed;
  } wanted[] = {{listeners.outbound4, NODEWARD_PORT_OUTBOUND, true},
                {listeners.outbound6, NODEWARD_PORT_OUTBOUND, false},
                {listeners.inbound4, NODEWARD_PORT_INBOUND, true},
                {listeners.inbound6, NODEWARD_PORT_INBOUND, false},
                {listeners.hbone, NODEWARD_PORT_HBONE, true}};
  for (const auto& [fd, port, needed] : wanted) {
    if (!fd.valid() && !needed) continue;
    int listens = 0;
    socklen_t length = sizeof(listens);
    uint64_t cookie = 0;
    socklen_t cookie_length = sizeof(cookie);
    const auto local = io::LocalEndpoint(fd.get());
    if (getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) !=
            0 ||
        getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie,
                   &cookie_length) != 0 ||
        listens == 0 || cookie != netns_cookie || !local.ok() ||
        local->port != port) {
      return absl::InvalidArgumentError(
          base::StrCat("take over port ", port, " of netns ", netns_cookie,
                       ": no such listening socket was handed over"));
    }
  }
  return base::OkStatus();
}

std::vector<uint64_t> CookiesOf(const Listeners& listeners) {
  std::vector<uint64_t> cookies;
  for (const base::Fd* fd :
       {&listeners.outbound4, &listeners.outbound6, &listeners.inbound4,
        &listeners.inbound6, &listeners.hbone}) {
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    if (fd->valid() &&
        getsockopt(fd->get(), SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0) {
      cookies.push_back(cookie);
    }
  }
  return cookies;
}

}  // namespace nodeward::capture
