// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include <cstdio>
#include <vector>

#include "modes.h"

namespace nodeward::load {

int Hold(const Options& options) {
  // Connections are opened in small groups, so that handshakes overlap without
  // a burst that overflows a listener's queue.
  constexpr size_t kAtOnce = 32;
  std::string message = Message(options.size);
  std::vector<Socket> held;
  held.reserve(static_cast<size_t>(options.connections));
  while (held.size() < static_cast<size_t>(options.connections)) {
    size_t first = held.size();
    size_t missing = static_cast<size_t>(options.connections) - first;
    for (size_t i = 0; i < std::min(kAtOnce, missing); ++i) {
      held.push_back(Connect(options.to));
      if (!held.back().valid()) return Fail("connect");
      if (send(held.back().get(), message.data(), message.size(),
               MSG_NOSIGNAL) != static_cast<ssize_t>(message.size())) {
        return Fail("send");
      }
    }
    std::vector<char> answer(message.size());
    for (size_t i = first; i < held.size(); ++i) {
      if (recv(held[i].get(), answer.data(), answer.size(), MSG_WAITALL) !=
          static_cast<ssize_t>(answer.size())) {
        return Fail("receive the answer");
      }
    }
  }
  std::printf("{\"held\": %zu}\n", held.size());
  std::fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  // A connection that was closed behind our back was not held.
  size_t alive = 0;
  for (const Socket& socket : held) {
    if (recv(socket.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0) ++alive;
  }
  std::printf("{\"alive\": %zu}\n", alive);
  return 0;
}

}  // namespace nodeward::load
