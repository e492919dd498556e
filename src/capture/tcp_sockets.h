// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/inet_diag.h>

#include <cstdint>
#include <vector>

#include "base/ip.h"
#include "base/status.h"
#include "capture/netlink.h"
#include "capture/netns.h"

namespace nodeward::capture {

// The kernel's TCP states (include/net/tcp_states.h), which no public header
// of it names for IPv6 too.
enum class TcpState : uint8_t {
  kEstablished = 1,
  kSynSent = 2,
  kSynReceived = 3,  // also an embryonic connection: no socket yet
  kFinWait1 = 4,
  kFinWait2 = 5,
  kTimeWait = 6,
  kClose = 7,
  kCloseWait = 8,
  kLastAck = 9,
  kListen = 10,
  kClosing = 11,
};

// Who began a connection, as its counters tell it.
enum class Opener { kUnknown, kThisEnd, kOtherEnd };

// A TCP socket of a namespace, as inet_diag tells it.
struct TcpSocket {
  base::Endpoint local;
  base::Endpoint remote;
  TcpState state = TcpState::kClose;
  Opener opener = Opener::kUnknown;
  bool v6_only = false;
  uint64_t cookie = 0;  // SO_COOKIE
  uint32_t uid = 0;
  uint32_t inode = 0;
  uint64_t cgroup = 0;  // cgroup v2 id; 0: not told
  // As the kernel wants it back to find this very socket.
  uint8_t family = 0;  // v4-mapped is AF_INET6
  inet_diag_sockid id{};
};

// Lists and destroys the TCP sockets of one namespace. One thread.
class TcpSockets {
 public:
  // Of the namespace the calling thread is in.
  static base::StatusOr<TcpSockets> Open();
  static base::StatusOr<TcpSockets> OpenIn(const Netns& pod, const Netns& home);

  // Every socket with a connection, of both families: embryonic, not yet
  // accepted, v4-mapped ones too. Those in TIME_WAIT are left out.
  base::StatusOr<std::vector<TcpSocket>> Connections();
  // Every listening socket; `port` 0: of every port.
  base::StatusOr<std::vector<TcpSocket>> Listeners(uint16_t port = 0);

  // Closes it with RST to the peer and ECONNABORTED to its owner. Done by the
  // socket's cookie, so that a successor on its tuple, or a listener behind it,
  // is never hit. kNotFound: it has gone. kUnimplemented: a kernel without
  // SOCK_DESTROY.
  base::Status Destroy(const TcpSocket& socket);

 private:
  explicit TcpSockets(Netlink diag) : diag_(std::move(diag)) {}
  base::StatusOr<std::vector<TcpSocket>> Dump(uint32_t states, uint16_t port);
  Netlink diag_;
};

// From TCP_INFO's counters: the opener's SYN is acknowledged and counted as a
// byte that it never counted as sent. `unacknowledged`: bytes in the write
// queue.
Opener OpenerOf(TcpState state, uint64_t bytes_acked, uint64_t bytes_sent,
                uint64_t bytes_retransmitted, uint32_t unacknowledged,
                uint32_t not_sent);

}  // namespace nodeward::capture
