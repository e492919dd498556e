// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <string>

#include "base/fd.h"
#include "tls/pair.h"

namespace nodeward::tls {

// Blocking sockets with a deadline, so that a test fails instead of hanging.
inline void SetDeadline(int fd) {
  const timeval limit{.tv_sec = 30, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

// A listener on a free port of 127.0.0.1.
class LoopbackListener {
 public:
  LoopbackListener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_.get(), 16), 0);
    EXPECT_EQ(
        getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size),
        0);
    port_ = ntohs(address.sin_port);
    SetDeadline(fd_.get());
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  base::Fd Accept() {
    base::Fd fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    SetDeadline(fd.get());
    return fd;
  }

 private:
  base::Fd fd_;
  uint16_t port_ = 0;
};

inline base::Fd ConnectLoopback(uint16_t port) {
  base::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
              sizeof(address)) != 0) {
    return base::Fd();
  }
  SetDeadline(fd.get());
  return fd;
}

// Sends what the session has to say.
inline bool Flush(int fd, Session& session) {
  while (!session.output().empty()) {
    const ssize_t count = send(fd, session.output().data(),
                               session.output().size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    session.DropOutput(static_cast<size_t>(count));
  }
  return true;
}

// Drives `end` over `fd` until `done` says so, or it ends in whatever way.
inline void Drive(int fd, End& end, const std::function<bool()>& done) {
  uint8_t buffer[65'536];
  end.Turn();
  for (;;) {
    if (!Flush(fd, *end.session) || done()) return;
    if (end.step == Step::kClosed || end.step == Step::kFailed) return;
    const ssize_t count = recv(fd, buffer, sizeof(buffer), 0);
    if (count <= 0) return;
    end.Take(base::AsText({buffer, static_cast<size_t>(count)}));
  }
}

}  // namespace nodeward::tls
