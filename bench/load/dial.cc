// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include <cstdio>
#include <string>

#include "latency.h"
#include "modes.h"

namespace nodeward::load {

int Dial(const Options& options) {
  Latencies latencies;
  const std::string message = Message(options.size);
  // Socket creation, the message and close lie outside the measured time.
  for (int i = 0; i < options.count; ++i) {
    Socket socket(
        ::socket(options.to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) return Fail("make a socket");
    int64_t before = NowNs();
    if (connect(socket.get(), options.to.get(), options.to.length) != 0) {
      return Fail("connect");
    }
    latencies.Add(NowNs() - before);
    // Somebody accepts each one before the next: Envoy 1.40 dies of clients
    // that have left before it looks at them.
    if (!Exchange(socket, message)) return Fail("exchange a message");
    socket.Abort();
  }
  std::printf("{\"count\": %zu, %s}\n", latencies.size(),
              latencies.ToJson().c_str());
  return 0;
}

}  // namespace nodeward::load
