// SPDX-License-Identifier: Apache-2.0
#include "socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace nodeward::load {
namespace {

void NoDelay(const Socket& socket) {
  int one = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

}  // namespace

void Socket::Abort() {
  linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  Close();
}

bool Address::Parse(const std::string& text, Address* out) {
  size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data() + colon + 1, end, port);
  if (error != std::errc() || stop != end) return false;
  std::string host = text.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out->storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    out->length = sizeof(*v4);
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out->storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  out->length = sizeof(*v6);
  return true;
}

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::string Message(int size) {
  std::string message;
  while (message.size() < static_cast<size_t>(size)) message += kMarker;
  message.resize(static_cast<size_t>(size));
  return message;
}

Socket Listen(const Address& address) {
  Socket socket(::socket(address.storage.ss_family,
                         SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return socket;
  int one = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (bind(socket.get(), address.get(), address.length) != 0 ||
      listen(socket.get(), 4096) != 0) {
    return Socket();
  }
  return socket;
}

Socket Connect(const Address& address) {
  Socket socket(
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return socket;
  NoDelay(socket);
  if (connect(socket.get(), address.get(), address.length) != 0) {
    int error = errno;
    socket.Close();
    errno = error;
  }
  return socket;
}

Socket StartConnect(const Address& address) {
  Socket socket(::socket(address.storage.ss_family,
                         SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return socket;
  NoDelay(socket);
  if (connect(socket.get(), address.get(), address.length) != 0 &&
      errno != EINPROGRESS) {
    int error = errno;
    socket.Close();
    errno = error;
  }
  return socket;
}

Socket Accept(const Socket& listener) {
  Socket socket(
      accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.valid()) NoDelay(socket);
  return socket;
}

bool SetNonBlocking(const Socket& socket) {
  int flags = fcntl(socket.get(), F_GETFL);
  return flags >= 0 && fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) == 0;
}

bool Exchange(const Socket& socket, const std::string& message) {
  if (send(socket.get(), message.data(), message.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(message.size())) {
    return false;
  }
  char buffer[65536];
  size_t missing = message.size();
  while (missing > 0) {
    size_t room = std::min(missing, sizeof(buffer));
    ssize_t count = recv(socket.get(), buffer, room, 0);
    if (count <= 0) return false;
    missing -= static_cast<size_t>(count);
  }
  return true;
}

int Fail(std::string_view what) {
  std::fprintf(stderr, "nodeward-load: %.*s: %s\n",
               static_cast<int>(what.size()), what.data(),
               std::strerror(errno));
  return 1;
}

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

bool Poller::Add(const Socket& socket, uint32_t events, uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) == 0;
}

bool Poller::Change(const Socket& socket, uint32_t events, uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket.get(), &event) == 0;
}

int Poller::Wait(epoll_event* events, int capacity, int timeout_ms) {
  int count = epoll_wait(epoll_.get(), events, capacity, timeout_ms);
  return count < 0 && errno == EINTR ? 0 : count;
}

}  // namespace nodeward::load
