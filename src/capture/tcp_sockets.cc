// SPDX-License-Identifier: Apache-2.0
#include "capture/tcp_sockets.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

namespace nodeward::capture {
namespace {

// Absent from older kernel headers.
constexpr uint16_t kCgroupAttribute = 21;  // INET_DIAG_CGROUP_ID
constexpr uint32_t kNewSynReceived = 12;   // TCP_NEW_SYN_RECV

constexpr uint32_t Bit(TcpState state) {
  return 1u << static_cast<uint32_t>(state);
}
constexpr uint32_t kConnected =
    Bit(TcpState::kEstablished) | Bit(TcpState::kSynSent) |
    Bit(TcpState::kSynReceived) | (1u << kNewSynReceived) |
    Bit(TcpState::kFinWait1) | Bit(TcpState::kFinWait2) |
    Bit(TcpState::kCloseWait) | Bit(TcpState::kLastAck) |
    Bit(TcpState::kClosing);

base::IpAddress AddressOf(int family, const __be32* words) {
  if (family == AF_INET) return base::IpAddress::V4(words[0]);
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), words, bytes.size());
  return base::IpAddress::Bytes(bytes);
}

Opener OpenerFrom(const NetlinkAttributes& attributes,
                  const inet_diag_msg& message) {
  const auto bytes = attributes.Find(INET_DIAG_INFO);
  if (!bytes.has_value()) return Opener::kUnknown;
  // Older kernels send a shorter struct: without the counters nothing is known.
  tcp_info info{};
  if (bytes->size() <
      offsetof(tcp_info, tcpi_bytes_retrans) + sizeof(uint64_t)) {
    return Opener::kUnknown;
  }
  std::memcpy(&info, bytes->data(), std::min(bytes->size(), sizeof(info)));
  return OpenerOf(static_cast<TcpState>(message.idiag_state),
                  info.tcpi_bytes_acked, info.tcpi_bytes_sent,
                  info.tcpi_bytes_retrans, message.idiag_wqueue,
                  info.tcpi_notsent_bytes);
}

TcpSocket FromMessage(const inet_diag_msg& message,
                      const NetlinkAttributes& attributes) {
  TcpSocket socket;
  socket.family = message.idiag_family;
  socket.id = message.id;
  socket.local = {AddressOf(socket.family, message.id.idiag_src),
                  ntohs(message.id.idiag_sport)};
  socket.remote = {AddressOf(socket.family, message.id.idiag_dst),
                   ntohs(message.id.idiag_dport)};
  socket.state = static_cast<TcpState>(message.idiag_state);
  socket.opener = OpenerFrom(attributes, message);
  socket.cookie = (static_cast<uint64_t>(message.id.idiag_cookie[1]) << 32) |
                  message.id.idiag_cookie[0];
  socket.uid = message.idiag_uid;
  socket.inode = message.idiag_inode;
  if (const auto v6_only = attributes.Find(INET_DIAG_SKV6ONLY);
      v6_only.has_value() && !v6_only->empty()) {
    socket.v6_only = (*v6_only)[0] != 0;
  }
  if (const auto cgroup = attributes.Find(kCgroupAttribute);
      cgroup.has_value() && cgroup->size() == sizeof(socket.cgroup)) {
    std::memcpy(&socket.cgroup, cgroup->data(), sizeof(socket.cgroup));
  }
  return socket;
}

}  // namespace

Opener OpenerOf(TcpState state, uint64_t bytes_acked, uint64_t bytes_sent,
                uint64_t bytes_retransmitted, uint32_t unacknowledged,
                uint32_t not_sent) {
  if (state == TcpState::kSynSent) return Opener::kThisEnd;
  if (state == TcpState::kSynReceived) return Opener::kOtherEnd;
  // Behind our own FIN, which takes a number too, the sum says nothing.
  if (state != TcpState::kEstablished && state != TcpState::kCloseWait) {
    return Opener::kUnknown;
  }
  const uint64_t in_flight = unacknowledged - not_sent;
  const uint64_t difference =
      bytes_acked + in_flight - (bytes_sent - bytes_retransmitted);
  if (difference == 1) return Opener::kThisEnd;
  return difference == 0 ? Opener::kOtherEnd : Opener::kUnknown;
}

base::StatusOr<TcpSockets> TcpSockets::Open() {
  NODEWARD_ASSIGN(Netlink diag, Netlink::Open(NETLINK_SOCK_DIAG));
  return TcpSockets(std::move(diag));
}

base::StatusOr<TcpSockets> TcpSockets::OpenIn(const Netns& pod,
                                              const Netns& home) {
  std::optional<TcpSockets> opened;
  NODEWARD_TRY(pod.Run(home, [&]() -> base::Status {
    NODEWARD_ASSIGN(opened, Open());
    return base::OkStatus();
  }));
  return *std::move(opened);
}

base::StatusOr<std::vector<TcpSocket>> TcpSockets::Connections() {
  return Dump(kConnected, 0);
}

base::StatusOr<std::vector<TcpSocket>> TcpSockets::Listeners(uint16_t port) {
  return Dump(Bit(TcpState::kListen), port);
}

base::StatusOr<std::vector<TcpSocket>> TcpSockets::Dump(uint32_t states,
                                                        uint16_t port) {
  std::vector<TcpSocket> sockets;
  for (const int family : {AF_INET, AF_INET6}) {
    inet_diag_req_v2 query{};
    query.sdiag_family = static_cast<uint8_t>(family);
    query.sdiag_protocol = IPPROTO_TCP;
    query.idiag_ext = 1 << (INET_DIAG_INFO - 1);
    query.idiag_states = states;
    query.id.idiag_sport = htons(port);
    NetlinkRequest request(SOCK_DIAG_BY_FAMILY, 0);
    request.Struct(query);
    const base::Status status = diag_.Dump(
        std::move(request), "list TCP sockets",
        [&](uint16_t type, base::ByteSpan payload) {
          const auto* message = NetlinkStruct<inet_diag_msg>(payload);
          if (type != SOCK_DIAG_BY_FAMILY || message == nullptr) return;
          sockets.push_back(
              FromMessage(*message, AttributesAfter<inet_diag_msg>(payload)));
        });
    // kNotFound: a kernel without IPv6 has no such table.
    if (!status.ok() &&
        !(family == AF_INET6 && status.code() == absl::StatusCode::kNotFound)) {
      return status;
    }
  }
  return sockets;
}

base::Status TcpSockets::Destroy(const TcpSocket& socket) {
  inet_diag_req_v2 query{};
  query.sdiag_family = socket.family;
  query.sdiag_protocol = IPPROTO_TCP;
  query.idiag_states = ~0u;
  query.id = socket.id;
  NetlinkRequest request(SOCK_DESTROY, 0);
  request.Struct(query);
  return diag_.Ask(std::move(request), "destroy socket");
}

}  // namespace nodeward::capture
