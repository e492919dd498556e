// SPDX-License-Identifier: Apache-2.0
//
// TCP in a few words: listeners, connects with their errno, and bytes. Every
// wait ends after ten seconds.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/ip.h"
#include "kernel/netns_fixture.h"

namespace nodeward::test {

// Listens on `at` inside; `device`: bound to it. `family` AF_INET6 also for a
// v4 wildcard is the caller's choice.
base::Fd Listen(const Netns& netns, const base::Endpoint& at,
                const std::string& device = "", bool reuse_port = false);

// connect(), blocking; 0 or its errno. `family`: the sockaddr's.
int Connect(int fd, const base::Endpoint& to, int family = AF_UNSPEC);
bool Bind(int fd, const base::Endpoint& at, int family = AF_UNSPEC);

// A socket made inside and connected.
struct Connection {
  base::Fd fd;
  int error = 0;
};
Connection Dial(const Netns& netns, const base::Endpoint& to,
                int family = AF_UNSPEC);

// The next connection; invalid after ten seconds.
base::Fd Accept(int listener);
// Is there one without waiting?
bool HasConnection(int listener);

base::Endpoint Local(int fd);
base::Endpoint Peer(int fd);  // as getpeername() tells

bool Send(int fd, const std::string& bytes);
// Up to `size` bytes; "EOF" at the end of the stream, else the errno's name.
std::string Receive(int fd, size_t size = 64);
std::string CongestionControl(int fd);

}  // namespace nodeward::test
