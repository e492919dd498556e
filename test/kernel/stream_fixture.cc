// SPDX-License-Identifier: Apache-2.0
#include "kernel/stream_fixture.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace nodeward::test {
namespace {

constexpr int kSeconds = 10;

void SetTimeouts(int fd) {
  timeval limit{.tv_sec = kSeconds, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

}  // namespace

base::Fd Listen(const Netns& netns, const base::Endpoint& at,
                const std::string& device, bool reuse_port) {
  base::Fd fd = netns.Socket(at.address.family());
  int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (reuse_port)
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
  if (!device.empty()) {
    EXPECT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, device.c_str(),
                         device.size()),
              0);
  }
  EXPECT_TRUE(Bind(fd.get(), at)) << at.ToString() << ": " << strerror(errno);
  EXPECT_EQ(listen(fd.get(), 128), 0) << strerror(errno);
  return fd;
}

int Connect(int fd, const base::Endpoint& to, int family) {
  sockaddr_storage address;
  socklen_t size = to.ToSockaddr(&address, family);
  SetTimeouts(fd);
  return connect(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 ? 0
                                                                       : errno;
}

bool Bind(int fd, const base::Endpoint& at, int family) {
  sockaddr_storage address;
  socklen_t size = at.ToSockaddr(&address, family);
  return bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0;
}

Connection Dial(const Netns& netns, const base::Endpoint& to, int family) {
  Connection connection;
  connection.fd =
      netns.Socket(family == AF_UNSPEC ? to.address.family() : family);
  connection.error = Connect(connection.fd.get(), to, family);
  return connection;
}

base::Fd Accept(int listener) {
  pollfd wait{.fd = listener, .events = POLLIN, .revents = 0};
  if (poll(&wait, 1, kSeconds * 1000) != 1) return base::Fd();
  base::Fd fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  SetTimeouts(fd.get());
  return fd;
}

bool HasConnection(int listener) {
  pollfd wait{.fd = listener, .events = POLLIN, .revents = 0};
  return poll(&wait, 1, 0) == 1;
}

base::Endpoint Local(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  auto endpoint = base::Endpoint::FromSockaddr(address);
  return endpoint.ok() ? *endpoint : base::Endpoint();
}

base::Endpoint Peer(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size);
  auto endpoint = base::Endpoint::FromSockaddr(address);
  return endpoint.ok() ? *endpoint : base::Endpoint();
}

bool Send(int fd, const std::string& bytes) {
  return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

std::string Receive(int fd, size_t size) {
  std::string bytes(size, '\0');
  ssize_t count = recv(fd, bytes.data(), size, 0);
  if (count == 0) return "EOF";
  if (count < 0) return strerrorname_np(errno);
  bytes.resize(count);
  return bytes;
}

std::string CongestionControl(int fd) {
  char name[16] = {};
  socklen_t size = sizeof(name);
  if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) != 0)
    return strerrorname_np(errno);
  return std::string(name, strnlen(name, size));
}

}  // namespace nodeward::test
