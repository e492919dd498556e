// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <vector>

#include "hbone/tcp.h"
#include "io/socket.h"

namespace nodeward::hbone {
namespace {

constexpr int kLimitSeconds = 30;

}  // namespace

Tcp::Tcp(base::Fd fd) : fd_(std::move(fd)) {
  const timeval limit{kLimitSeconds, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

bool Tcp::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

std::string Tcp::Receive(size_t count) {
  std::string got;
  std::vector<char> buffer(std::min<size_t>(count, 1 << 20));
  while (got.size() < count) {
    const ssize_t n = recv(fd_.get(), buffer.data(),
                           std::min(buffer.size(), count - got.size()), 0);
    if (n <= 0) break;
    got.append(buffer.data(), static_cast<size_t>(n));
  }
  return got;
}

Ending Tcp::AwaitEnd(uint64_t* count) {
  std::vector<char> buffer(1 << 18);
  for (;;) {
    const ssize_t n = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (n == 0) return Ending::kFin;
    if (n < 0) {
      return errno == ECONNRESET || errno == EPIPE ? Ending::kReset
                                                   : Ending::kTimeout;
    }
    if (count != nullptr) *count += static_cast<uint64_t>(n);
  }
}

bool Tcp::StaysOpen(int millis) {
  pollfd p{fd_.get(), POLLIN | POLLRDHUP, 0};
  return poll(&p, 1, millis) == 0;
}

uint64_t Tcp::FillUp(uint64_t limit, int millis) {
  const std::string chunk(1 << 16, 'x');
  uint64_t written = 0;
  while (written < limit) {
    pollfd p{fd_.get(), POLLOUT, 0};
    if (poll(&p, 1, millis) <= 0) break;
    const ssize_t n = send(fd_.get(), chunk.data(), chunk.size(),
                           MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) break;
    if (n > 0) written += static_cast<uint64_t>(n);
  }
  return written;
}

void Tcp::Finish() { shutdown(fd_.get(), SHUT_WR); }

void Tcp::Reset() { io::ResetAndClose(std::move(fd_)); }

base::Endpoint Tcp::peer() const {
  return io::PeerEndpoint(fd_.get()).value_or(base::Endpoint{});
}

base::Endpoint Tcp::local() const {
  return io::LocalEndpoint(fd_.get()).value_or(base::Endpoint{});
}

base::Fd BoundSocket(const base::Endpoint& local) {
  base::Fd fd(socket(local.address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  sockaddr_storage address;
  const socklen_t length = local.ToSockaddr(&address);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0)
      << local.ToString() << ": " << strerror(errno);
  return fd;
}

base::Fd ConnectFrom(const base::Endpoint& local, const base::Endpoint& to,
                     int* error) {
  base::Fd fd = BoundSocket(local);
  sockaddr_storage address;
  const socklen_t length = to.ToSockaddr(&address);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
    if (error != nullptr) *error = errno;
    return base::Fd();
  }
  return fd;
}

base::Fd ListenOn(const base::Endpoint& local) {
  base::Fd fd = BoundSocket(local);
  EXPECT_EQ(listen(fd.get(), 4096), 0) << local.ToString();
  const int flags = fcntl(fd.get(), F_GETFL);
  fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
  return fd;
}

Server::Server(const base::Endpoint& at, Serve serve)
    : listener_(ListenOn(at)),
      at_(io::LocalEndpoint(listener_.get()).value_or(base::Endpoint{})),
      serve_(std::move(serve)) {
  acceptor_ = std::thread([this] {
    while (!stopping_.load()) {
      pollfd p{listener_.get(), POLLIN, 0};
      poll(&p, 1, 20);
      base::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd.valid()) continue;
      ++accepted_;
      threads_.emplace_back([this, tcp = Tcp(std::move(fd))]() mutable {
        serve_(std::move(tcp));
      });
    }
  });
}

Server::~Server() {
  stopping_.store(true);
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

void Echo(Tcp tcp) {
  std::vector<char> buffer(1 << 18);
  for (;;) {
    const ssize_t n = recv(tcp.fd(), buffer.data(), buffer.size(), 0);
    if (n <= 0) break;
    if (!tcp.Send({buffer.data(), static_cast<size_t>(n)})) return;
  }
  tcp.Finish();
}

bool Await(const std::function<bool()>& condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return true;
    poll(nullptr, 0, 5);
  }
  return false;
}

}  // namespace nodeward::hbone
