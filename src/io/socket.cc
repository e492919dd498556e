// SPDX-License-Identifier: Apache-2.0
#include "io/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace nodeward::io {
namespace {

Transfer FromErrno() {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
    return {Progress::kWouldBlock};
  }
  return {Progress::kReset, 0, errno};
}

Transfer Receive(int fd, base::MutableByteSpan buffer, int flags) {
  const ssize_t n = recv(fd, buffer.data(), buffer.size(), flags);
  if (n > 0) return {Progress::kBytes, static_cast<size_t>(n)};
  if (n == 0) return {Progress::kEnd};
  return FromErrno();
}

void SetInt(int fd, int level, int option, int value) {
  // Tuning only: a kernel that refuses it still moves the bytes.
  setsockopt(fd, level, option, &value, sizeof(value));
}

}  // namespace

Transfer Read(int fd, base::MutableByteSpan buffer) {
  return Receive(fd, buffer, 0);
}

Transfer Peek(int fd, base::MutableByteSpan buffer) {
  return Receive(fd, buffer, MSG_PEEK);
}

Transfer Write(int fd, base::ByteSpan bytes) {
  const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (n >= 0) return {Progress::kBytes, static_cast<size_t>(n)};
  return FromErrno();
}

Transfer WriteGathered(int fd, std::span<const base::ByteSpan> pieces) {
  // ByteSpan is {pointer, size}, but nothing promises that it is laid out as
  // iovec is.
  constexpr size_t kPieces = 64;
  iovec vectors[kPieces];
  const size_t count = std::min(pieces.size(), kPieces);
  for (size_t i = 0; i < count; ++i) {
    vectors[i] = {const_cast<uint8_t*>(pieces[i].data()), pieces[i].size()};
  }
  msghdr message{};
  message.msg_iov = vectors;
  message.msg_iovlen = count;
  const ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
  if (n >= 0) return {Progress::kBytes, static_cast<size_t>(n)};
  return FromErrno();
}

std::optional<base::Fd> Accept(int listener, base::Endpoint* peer, int* error) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  base::Fd fd(accept4(listener, reinterpret_cast<sockaddr*>(&address), &length,
                      SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.valid()) {
    if (error != nullptr) *error = errno;
    return std::nullopt;
  }
  if (error != nullptr) *error = 0;
  auto endpoint = base::Endpoint::FromSockaddr(address);
  if (!endpoint.ok()) return std::nullopt;
  *peer = *endpoint;
  return fd;
}

base::StatusOr<base::Endpoint> LocalEndpoint(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return base::ErrnoStatus(errno, "read local address");
  }
  return base::Endpoint::FromSockaddr(address);
}

base::StatusOr<base::Endpoint> PeerEndpoint(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return base::ErrnoStatus(errno, "read peer address");
  }
  return base::Endpoint::FromSockaddr(address);
}

base::Status StartConnect(int fd, const base::Endpoint& to) {
  int family = AF_UNSPEC;
  socklen_t family_length = sizeof(family);
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &family_length);
  sockaddr_storage address{};
  const socklen_t length = to.ToSockaddr(&address, family);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 ||
      errno == EINPROGRESS) {
    return base::OkStatus();
  }
  return base::ErrnoStatus(errno, "connect to " + to.ToString());
}

base::Status ConnectResult(int fd) {
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  return error == 0 ? base::OkStatus() : base::ErrnoStatus(error, "connect");
}

void SetNoDelay(int fd) { SetInt(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

void SetKeepAlive(int fd, absl::Duration idle, absl::Duration interval,
                  int probes) {
  SetInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetInt(fd, IPPROTO_TCP, TCP_KEEPIDLE,
         static_cast<int>(absl::ToInt64Seconds(idle)));
  SetInt(fd, IPPROTO_TCP, TCP_KEEPINTVL,
         static_cast<int>(absl::ToInt64Seconds(interval)));
  SetInt(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
}

void SkipPacing(int fd) {
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

void ResetAndClose(base::Fd fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void FinishWriting(int fd) { shutdown(fd, SHUT_WR); }

}  // namespace nodeward::io
