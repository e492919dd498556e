// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/status.h"

namespace nodeward::capture {

// A netlink request under construction: header, then the family's own struct,
// then attributes.
class NetlinkRequest {
 public:
  // `flags` beside NLM_F_REQUEST; Ask and Dump add what they need.
  NetlinkRequest(uint16_t type, uint16_t flags);

  template <typename T>
  NetlinkRequest& Struct(const T& value) {
    Append(&value, sizeof(value));
    return *this;
  }
  NetlinkRequest& Attribute(uint16_t type, base::ByteSpan value);
  NetlinkRequest& Attribute(uint16_t type, uint32_t value);

 private:
  friend class Netlink;
  void Append(const void* data, size_t size);
  nlmsghdr& header() { return *reinterpret_cast<nlmsghdr*>(bytes_.data()); }
  std::vector<uint8_t> bytes_;
};

// The attributes behind a message's struct. Values borrow from the message.
class NetlinkAttributes {
 public:
  explicit NetlinkAttributes(base::ByteSpan bytes) : bytes_(bytes) {}
  // The first attribute of `type`; no value: absent.
  std::optional<base::ByteSpan> Find(uint16_t type) const;
  std::optional<uint32_t> FindU32(uint16_t type) const;
  // An IP address of 4 or 16 bytes.
  std::optional<base::IpAddress> FindAddress(uint16_t type) const;

 private:
  base::ByteSpan bytes_;
};

// The struct at the start of `payload`, or null when it is too short.
template <typename T>
const T* NetlinkStruct(base::ByteSpan payload) {
  return payload.size() < sizeof(T)
             ? nullptr
             : reinterpret_cast<const T*>(payload.data());
}
template <typename T>
NetlinkAttributes AttributesAfter(base::ByteSpan payload) {
  const size_t head = NLMSG_ALIGN(sizeof(T));
  return NetlinkAttributes(payload.size() < head ? base::ByteSpan()
                                                 : payload.subspan(head));
}

// A netlink socket of the namespace in which it was opened, wherever it is used
// afterwards. The kernel answers inside the system call, so nothing here waits.
class Netlink {
 public:
  using Handler = absl::FunctionRef<void(uint16_t type, base::ByteSpan)>;

  // `protocol`: NETLINK_ROUTE or NETLINK_SOCK_DIAG; `groups`: RTMGRP_* bits to
  // be told of (then the socket does not block).
  static base::StatusOr<Netlink> Open(int protocol, uint32_t groups = 0);

  // Sends and awaits the acknowledgement. An error carries the code of the
  // kernel's errno (EEXIST: kAlreadyExists; ENOENT, ESRCH: kNotFound) and reads
  // "<what>: <errno>".
  base::Status Ask(NetlinkRequest request, std::string_view what);
  // As Ask, and `handler` gets what the kernel answers before it.
  base::Status Get(NetlinkRequest request, std::string_view what,
                   Handler handler);
  // `handler` gets every message of the dump; an inconsistent one (changed
  // while it ran) is an kAborted error: repeat.
  base::Status Dump(NetlinkRequest request, std::string_view what,
                    Handler handler);
  // Throws away what is queued for a socket with groups; true: there was
  // something, or something was lost.
  bool Drain();

  int fd() const { return fd_.get(); }

 private:
  explicit Netlink(base::Fd fd) : fd_(std::move(fd)) {}
  base::Status Exchange(NetlinkRequest& request, std::string_view what,
                        Handler handler);
  base::Fd fd_;
  uint32_t sequence_ = 0;
  std::vector<uint8_t> buffer_;
};

}  // namespace nodeward::capture
