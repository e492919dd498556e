// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace nodeward::load {

// Owns one descriptor.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  // Closes with RST: no TIME_WAIT is left behind.
  void Abort();

 private:
  int fd_ = -1;
};

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  // "10.0.0.1:80" or "[fd00::1]:80".
  static bool Parse(const std::string& text, Address* out);
  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
};

int64_t NowNs();  // CLOCK_MONOTONIC

// What every message consists of: readable text, so that a packet capture can
// prove whether it crossed the wire in the clear.
inline constexpr std::string_view kMarker = "nodeward-bench-plaintext-marker.";
std::string Message(int size);

// Each returns an invalid socket, with errno set, when it fails.
Socket Listen(const Address& address);
Socket Connect(const Address& address);       // blocking
Socket StartConnect(const Address& address);  // non-blocking, under way
Socket Accept(const Socket& listener);        // non-blocking
bool SetNonBlocking(const Socket& socket);
// Sends the message and reads as many bytes back, on a blocking socket.
bool Exchange(const Socket& socket, const std::string& message);

// Says what failed, with errno, and returns 1, the exit status.
int Fail(std::string_view what);

// An epoll instance; `data` comes back with the events.
class Poller {
 public:
  Poller();
  bool Add(const Socket& socket, uint32_t events, uint64_t data);
  bool Change(const Socket& socket, uint32_t events, uint64_t data);
  int Wait(epoll_event* events, int capacity, int timeout_ms);

 private:
  Socket epoll_;
};

}  // namespace nodeward::load
