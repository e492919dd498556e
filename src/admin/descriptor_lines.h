// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/status.h"

namespace nodeward::admin {

// Lines of JSON between two processes, with descriptors beside them: SCM_RIGHTS
// over a stream socket. A line names what comes with it, in that order:
//   {"pod":"1b9d…","descriptors":["outbound4","inbound4","hbone"]}
// The descriptors travel with the line's first byte, so that whoever has read
// the line has them.
inline constexpr size_t kMaxDescriptorsOfLine = 16;
inline constexpr size_t kMaxDescriptorLine = size_t{1} << 20;

struct NamedDescriptor {
  std::string name;
  base::Fd fd;
};

struct DescriptorLine {
  base::Json json;  // an object
  std::vector<NamedDescriptor> descriptors;

  // The descriptor of that name, given away; not valid: there is none.
  base::Fd Take(std::string_view name);
};

// Sends one line; waits for room as the socket's SO_SNDTIMEO says, whether the
// socket blocks or not. The descriptors stay the caller's too.
base::Status SendDescriptorLine(int socket, base::Json json,
                                const std::vector<NamedDescriptor>& beside,
                                absl::Duration patience);

// The lines of one socket, which outlives it. What a peer sends that is no such
// line is an error, and its descriptors are closed.
class DescriptorLineReader {
 public:
  explicit DescriptorLineReader(int socket) : socket_(socket) {}

  // Takes what has come; does not wait. No value: no whole line yet. Errors:
  // kUnavailable: the peer has ended; kInvalidArgument: no such line.
  base::StatusOr<std::optional<DescriptorLine>> Next();
  // The same, after waiting for it; kDeadlineExceeded.
  base::StatusOr<DescriptorLine> Await(absl::Duration patience);

 private:
  base::StatusOr<bool> Receive();
  base::StatusOr<DescriptorLine> Parse(const std::string& line);

  const int socket_;
  std::string pending_;
  std::deque<base::Fd> descriptors_;  // of lines not parsed yet
};

}  // namespace nodeward::admin
