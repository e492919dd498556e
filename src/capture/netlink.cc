// SPDX-License-Identifier: Apache-2.0
#include "capture/netlink.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/text.h"

namespace nodeward::capture {
namespace {

// The kernel fills at most 32 KB a message batch.
constexpr size_t kReceive = 64 * 1024;

base::Status Failed(int error, std::string_view what) {
  // absl has no code for ESRCH but kNotFound is what callers look for.
  if (error == ESRCH) error = ENOENT;
  return base::ErrnoStatus(error, what);
}

// What follows the header; nothing when its length is not that of a message
// within `left` bytes.
base::ByteSpan PayloadOf(const nlmsghdr& head, size_t left) {
  if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > left) return {};
  return {reinterpret_cast<const uint8_t*>(&head + 1),
          head.nlmsg_len - sizeof(head)};
}

}  // namespace

NetlinkRequest::NetlinkRequest(uint16_t type, uint16_t flags) {
  nlmsghdr head{};
  head.nlmsg_type = type;
  head.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  Append(&head, sizeof(head));
}

void NetlinkRequest::Append(const void* data, size_t size) {
  const size_t at = bytes_.size();
  bytes_.resize(at + NLMSG_ALIGN(size));
  std::memcpy(bytes_.data() + at, data, size);
  header().nlmsg_len = static_cast<uint32_t>(bytes_.size());
}

NetlinkRequest& NetlinkRequest::Attribute(uint16_t type, base::ByteSpan value) {
  rtattr attribute{};
  attribute.rta_type = type;
  attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(value.size()));
  Append(&attribute, sizeof(attribute));
  if (!value.empty()) Append(value.data(), value.size());
  return *this;
}

NetlinkRequest& NetlinkRequest::Attribute(uint16_t type, uint32_t value) {
  return Attribute(
      type,
      base::ByteSpan(reinterpret_cast<const uint8_t*>(&value), sizeof(value)));
}

std::optional<base::ByteSpan> NetlinkAttributes::Find(uint16_t type) const {
  base::ByteSpan rest = bytes_;
  while (rest.size() >= sizeof(rtattr)) {
    rtattr head;
    std::memcpy(&head, rest.data(), sizeof(head));
    if (head.rta_len < sizeof(head) || head.rta_len > rest.size()) break;
    // The upper bits are flags (nested, byte order).
    if ((head.rta_type & NLA_TYPE_MASK) == type) {
      return rest.subspan(sizeof(head), head.rta_len - sizeof(head));
    }
    const size_t step = RTA_ALIGN(head.rta_len);
    if (step >= rest.size()) break;
    rest = rest.subspan(step);
  }
  return std::nullopt;
}

std::optional<uint32_t> NetlinkAttributes::FindU32(uint16_t type) const {
  const auto value = Find(type);
  if (!value.has_value() || value->size() < sizeof(uint32_t)) {
    return std::nullopt;
  }
  uint32_t number;
  std::memcpy(&number, value->data(), sizeof(number));
  return number;
}

std::optional<base::IpAddress> NetlinkAttributes::FindAddress(
    uint16_t type) const {
  const auto value = Find(type);
  if (!value.has_value()) return std::nullopt;
  if (value->size() == 4) {
    uint32_t v4;
    std::memcpy(&v4, value->data(), sizeof(v4));
    return base::IpAddress::V4(v4);
  }
  if (value->size() != 16) return std::nullopt;
  std::array<uint8_t, 16> v6;
  std::memcpy(v6.data(), value->data(), v6.size());
  return base::IpAddress::Bytes(v6);
}

base::StatusOr<Netlink> Netlink::Open(int protocol, uint32_t groups) {
  const int flags = SOCK_RAW | SOCK_CLOEXEC | (groups != 0 ? SOCK_NONBLOCK : 0);
  base::Fd fd(socket(AF_NETLINK, flags, protocol));
  if (!fd.valid()) return base::ErrnoStatus(errno, "open netlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) !=
      0) {
    return base::ErrnoStatus(errno, "bind netlink socket");
  }
  // The kernel answers at once; a limit so that a fault cannot hang the agent.
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  return Netlink(std::move(fd));
}

base::Status Netlink::Ask(NetlinkRequest request, std::string_view what) {
  return Get(std::move(request), what, [](uint16_t, base::ByteSpan) {});
}

base::Status Netlink::Get(NetlinkRequest request, std::string_view what,
                          Handler handler) {
  request.header().nlmsg_flags |= NLM_F_ACK;
  return Exchange(request, what, handler);
}

base::Status Netlink::Dump(NetlinkRequest request, std::string_view what,
                           Handler handler) {
  request.header().nlmsg_flags |= NLM_F_DUMP;
  return Exchange(request, what, handler);
}

base::Status Netlink::Exchange(NetlinkRequest& request, std::string_view what,
                               Handler handler) {
  request.header().nlmsg_seq = ++sequence_;
  if (send(fd_.get(), request.bytes_.data(), request.bytes_.size(), 0) < 0) {
    return Failed(errno, what);
  }
  buffer_.resize(kReceive);
  bool interrupted = false;
  for (;;) {
    const ssize_t n = recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (n < 0) {
      if (errno == EINTR) continue;
      return Failed(errno, what);
    }
    const size_t size = static_cast<size_t>(n);
    for (size_t at = 0; at + sizeof(nlmsghdr) <= size;) {
      const auto* head = reinterpret_cast<const nlmsghdr*>(&buffer_[at]);
      const base::ByteSpan payload = PayloadOf(*head, size - at);
      at += NLMSG_ALIGN(std::max<size_t>(head->nlmsg_len, sizeof(*head)));
      // An answer to an earlier request that was given up.
      if (head->nlmsg_seq != sequence_) continue;
      if ((head->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (head->nlmsg_type == NLMSG_ERROR || head->nlmsg_type == NLMSG_DONE) {
        int error = 0;
        if (payload.size() >= sizeof(error)) {
          std::memcpy(&error, payload.data(), sizeof(error));
        }
        if (error < 0) return Failed(-error, what);
        if (interrupted) {
          return absl::AbortedError(
              base::StrCat(what, ": changed while it was read"));
        }
        return base::OkStatus();
      }
      handler(head->nlmsg_type, payload);
    }
  }
}

bool Netlink::Drain() {
  buffer_.resize(kReceive);
  bool any = false;
  for (;;) {
    const ssize_t n = recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    // ENOBUFS: the queue overflowed, so something did change.
    if (n < 0 && errno != ENOBUFS && errno != EINTR) return any;
    if (n > 0 || errno == ENOBUFS) any = true;
  }
}

}  // namespace nodeward::capture
