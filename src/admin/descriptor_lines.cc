// SPDX-License-Identifier: Apache-2.0
#include "admin/descriptor_lines.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/time/clock.h"
#include "base/text.h"

namespace nodeward::admin {
namespace {

using base::Json;
using base::StrCat;

// Waits until `socket` is ready for `events`.
base::Status AwaitReady(int socket, short events, absl::Time deadline,
                        std::string_view what) {
  for (;;) {
    pollfd waited{socket, events, 0};
    const int64_t left =
        std::max<int64_t>(0, absl::ToInt64Milliseconds(deadline - absl::Now()));
    const int ready = poll(&waited, 1, static_cast<int>(left));
    if (ready > 0) return base::OkStatus();
    if (ready < 0 && errno != EINTR) return base::ErrnoStatus(errno, what);
    if (ready == 0 && absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          StrCat(what, ": the other agent does not answer in time"));
    }
  }
}

// One sendmsg; the number of bytes, or -1 with errno.
ssize_t SendOnce(int socket, std::string_view text,
                 const std::vector<NamedDescriptor>& beside) {
  iovec piece{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char
      control[CMSG_SPACE(sizeof(int) * kMaxDescriptorsOfLine)] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (!beside.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * beside.size());
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * beside.size());
    for (size_t i = 0; i < beside.size(); ++i) {
      const int fd = beside[i].fd.get();
      memcpy(CMSG_DATA(header) + i * sizeof(int), &fd, sizeof(int));
    }
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

base::Status NoSuchLine(std::string_view why) {
  return absl::InvalidArgumentError(
      StrCat("read what the other agent says: ", why));
}

}  // namespace

base::Fd DescriptorLine::Take(std::string_view name) {
  for (NamedDescriptor& one : descriptors) {
    if (one.name == name) return std::move(one.fd);
  }
  return base::Fd();
}

base::Status SendDescriptorLine(int socket, Json json,
                                const std::vector<NamedDescriptor>& beside,
                                absl::Duration patience) {
  constexpr std::string_view kWhat = "send to the other agent";
  if (beside.size() > kMaxDescriptorsOfLine) {
    return absl::InternalError(StrCat(kWhat, ": too many descriptors"));
  }
  Json names = Json::array();
  for (const NamedDescriptor& one : beside) names.push_back(one.name);
  if (!beside.empty()) json["descriptors"] = std::move(names);
  const std::string text =
      json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (text.size() > kMaxDescriptorLine) {
    return absl::ResourceExhaustedError(StrCat(kWhat, ": a line too long"));
  }
  const absl::Time deadline = absl::Now() + patience;
  static const std::vector<NamedDescriptor> kNone;
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t n = SendOnce(socket, std::string_view(text).substr(sent),
                               sent == 0 ? beside : kNone);
    if (n >= 0) {
      sent += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      NODEWARD_TRY(AwaitReady(socket, POLLOUT, deadline, kWhat));
    } else if (errno != EINTR) {
      return base::ErrnoStatus(errno, kWhat);
    }
  }
  return base::OkStatus();
}

// True: something came.
base::StatusOr<bool> DescriptorLineReader::Receive() {
  char buffer[16 * 1024];
  alignas(
      cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptorsOfLine)];
  iovec piece{buffer, sizeof(buffer)};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t n;
  do {
    n = recvmsg(socket_, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return false;
  if (n < 0) return base::ErrnoStatus(errno, "read what the other agent says");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      descriptors_.emplace_back(fd);
    }
  }
  if (n == 0) return absl::UnavailableError("the other agent has ended");
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return NoSuchLine(
        "descriptors are missing (raise the limit of open files)");
  }
  pending_.append(buffer, static_cast<size_t>(n));
  return true;
}

base::StatusOr<DescriptorLine> DescriptorLineReader::Parse(
    const std::string& line) {
  auto json = base::ParseJson(line);
  if (!json.ok() || !json->is_object()) return NoSuchLine("no JSON object");
  DescriptorLine parsed{*std::move(json), {}};
  const Json& names = base::GetMember(parsed.json, "descriptors");
  if (names.is_null()) return parsed;
  if (!names.is_array() || names.size() > descriptors_.size()) {
    return NoSuchLine("it names descriptors that did not come");
  }
  for (const Json& name : names) {
    if (!name.is_string()) return NoSuchLine("a descriptor without a name");
    parsed.descriptors.push_back(
        {name.get<std::string>(), std::move(descriptors_.front())});
    descriptors_.pop_front();
  }
  return parsed;
}

base::StatusOr<std::optional<DescriptorLine>> DescriptorLineReader::Next() {
  for (;;) {
    const size_t end = pending_.find('\n');
    if (end != std::string::npos) {
      const std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      NODEWARD_ASSIGN(DescriptorLine parsed, Parse(line));
      // With no byte of a further line here, what is left belongs to none.
      if (pending_.empty()) descriptors_.clear();
      return std::optional<DescriptorLine>(std::move(parsed));
    }
    if (pending_.size() > kMaxDescriptorLine) return NoSuchLine("too long");
    NODEWARD_ASSIGN(const bool more, Receive());
    if (!more) return std::optional<DescriptorLine>();
  }
}

base::StatusOr<DescriptorLine> DescriptorLineReader::Await(
    absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  for (;;) {
    NODEWARD_ASSIGN(std::optional<DescriptorLine> line, Next());
    if (line.has_value()) return *std::move(line);
    NODEWARD_TRY(AwaitReady(socket_, POLLIN, deadline,
                            "read what the other agent says"));
  }
}

}  // namespace nodeward::admin
