// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>
#include <sys/time.h>

#include <cstdio>

#include "modes.h"

namespace nodeward::load {
namespace {

// Does the peer answer one message on a new connection?
bool Answers(const Options& options, const std::string& message) {
  Socket socket = Connect(options.to);
  if (!socket.valid()) return false;
  // A try that hangs must not hide the next one for long.
  timeval patience{0, 250000};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
             sizeof(patience));
  bool answered = Exchange(socket, message);
  socket.Abort();
  return answered;
}

}  // namespace

int Watch(const Options& options) {
  bool wanted = options.until == "answer";
  std::string message = Message(options.size);
  int64_t deadline = NowNs() + static_cast<int64_t>(options.seconds * 1e9);
  for (int tries = 1; NowNs() < deadline; ++tries) {
    int64_t begun = NowNs();
    bool answered = Answers(options, message);
    int64_t known = NowNs();
    if (tries == 1) {
      std::printf("{\"first\": \"%s\"}\n", answered ? "answer" : "refusal");
      std::fflush(stdout);
    }
    if (answered == wanted) {
      std::printf("{\"begun_ns\": %lld, \"known_ns\": %lld, \"tries\": %d}\n",
                  static_cast<long long>(begun), static_cast<long long>(known),
                  tries);
      return 0;
    }
    usleep(static_cast<useconds_t>(options.pause_ms * 1000));
  }
  std::fprintf(stderr, "nodeward-load: no %s within %.1f s\n",
               options.until.c_str(), options.seconds);
  return 1;
}

}  // namespace nodeward::load
