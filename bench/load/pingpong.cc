// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "latency.h"
#include "modes.h"

namespace nodeward::load {
namespace {

// When the warm-up ends and when the measurement does.
struct Window {
  explicit Window(const Options& options)
      : begin(NowNs() + static_cast<int64_t>(options.warmup * 1e9)),
        end(begin + static_cast<int64_t>(options.seconds * 1e9)) {}
  int64_t begin;
  int64_t end;
};

void Print(Latencies& latencies, const Options& options) {
  std::printf("{\"count\": %zu, \"rate\": %.1f, %s}\n", latencies.size(),
              static_cast<double>(latencies.size()) / options.seconds,
              latencies.ToJson().c_str());
}

// One connection: a blocking socket, as a plain client would.
int PingPongOne(const Options& options) {
  Socket socket = Connect(options.to);
  if (!socket.valid()) return Fail("connect");
  std::string message = Message(options.size);
  Latencies latencies;
  Window window(options);
  int64_t sent = NowNs();
  while (sent < window.end) {
    if (!Exchange(socket, message)) return Fail("exchange a message");
    int64_t now = NowNs();
    if (sent >= window.begin) latencies.Add(now - sent);
    sent = now;
  }
  Print(latencies, options);
  return 0;
}

struct Pinger {
  Socket socket;
  int64_t sent = 0;
  size_t missing = 0;
};

bool Ping(Pinger& pinger, const std::string& message) {
  pinger.sent = NowNs();
  pinger.missing = message.size();
  return send(pinger.socket.get(), message.data(), message.size(),
              MSG_NOSIGNAL) == static_cast<ssize_t>(message.size());
}

int PingPongMany(const Options& options) {
  std::string message = Message(options.size);
  std::vector<Pinger> pingers(static_cast<size_t>(options.connections));
  Poller poller;
  for (size_t i = 0; i < pingers.size(); ++i) {
    pingers[i].socket = Connect(options.to);
    if (!pingers[i].socket.valid()) return Fail("connect");
    if (!Exchange(pingers[i].socket, message)) {
      return Fail("exchange a first message");
    }
    if (!SetNonBlocking(pingers[i].socket) ||
        !poller.Add(pingers[i].socket, EPOLLIN, i)) {
      return Fail("watch a connection");
    }
  }
  Latencies latencies;
  Window window(options);
  for (Pinger& pinger : pingers) {
    if (!Ping(pinger, message)) return Fail("send");
  }
  std::vector<epoll_event> events(pingers.size());
  std::vector<char> buffer(65536);
  int capacity = static_cast<int>(events.size());
  while (NowNs() < window.end) {
    int count = poller.Wait(events.data(), capacity, 1000);
    if (count < 0) return Fail("wait");
    for (int i = 0; i < count; ++i) {
      Pinger& pinger = pingers[events[i].data.u64];
      ssize_t bytes = recv(pinger.socket.get(), buffer.data(),
                           std::min(pinger.missing, buffer.size()), 0);
      if (bytes < 0 && errno == EAGAIN) continue;
      if (bytes <= 0) return Fail("receive");
      pinger.missing -= static_cast<size_t>(bytes);
      if (pinger.missing > 0) continue;
      int64_t now = NowNs();
      if (pinger.sent >= window.begin && now < window.end) {
        latencies.Add(now - pinger.sent);
      }
      if (!Ping(pinger, message)) return Fail("send");
    }
  }
  Print(latencies, options);
  return 0;
}

}  // namespace

int PingPong(const Options& options) {
  return options.connections == 1 ? PingPongOne(options)
                                  : PingPongMany(options);
}

}  // namespace nodeward::load
