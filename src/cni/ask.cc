// SPDX-License-Identifier: Apache-2.0
#include "cni/ask.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/time/clock.h"
#include "base/fd.h"
#include "base/text.h"

namespace nodeward::cni {
namespace {

using base::StrCat;

constexpr size_t kLongestAnswer = 64 * 1024;

base::Status Say(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::ErrnoStatus(errno, "send");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return base::OkStatus();
}

base::StatusOr<std::string> Listen(int fd, absl::Time deadline) {
  std::string line;
  char buffer[4096];
  while (line.empty() || line.back() != '\n') {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("no answer in time");
    }
    const timeval wait = absl::ToTimeval(left);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    const ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return base::ErrnoStatus(errno, "receive");
    if (n == 0) return absl::UnavailableError("it hung up");
    line.append(buffer, static_cast<size_t>(n));
    if (line.size() > kLongestAnswer) {
      return absl::ResourceExhaustedError("its answer is too long");
    }
  }
  return line;
}

base::StatusOr<Answer> Ask(const std::string& path, const Question& question,
                           absl::Duration patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError("that is no path of a socket");
  }
  memcpy(address.sun_path, path.data(), path.size());
  const absl::Time deadline = absl::Now() + patience;
  const base::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return base::ErrnoStatus(errno, "open socket");
  // An agent that is stopped takes no connections once its queue is full.
  const timeval wait = absl::ToTimeval(patience);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
              sizeof(address)) != 0) {
    return base::ErrnoStatus(errno, "connect");
  }
  // The folder is root's alone; this holds wherever the socket lies.
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
      (peer.uid != 0 && peer.uid != geteuid())) {
    return absl::PermissionDeniedError("who listens there is not root");
  }
  NODEWARD_TRY(Say(fd.get(), LineOf(question)));
  NODEWARD_ASSIGN(const std::string line, Listen(fd.get(), deadline));
  return ReadAnswer(line);
}

}  // namespace

base::StatusOr<Answer> AskAgent(const std::string& path,
                                const Question& question,
                                absl::Duration patience) {
  auto answer = Ask(path, question, patience);
  if (answer.ok()) return answer;
  return base::Annotate(answer.status(), StrCat("ask the agent at ", path));
}

}  // namespace nodeward::cni
