// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "latency.h"
#include "modes.h"

namespace nodeward::load {
namespace {

// One place of the closed loop: as soon as its connection is through, it
// starts the next.
struct Slot {
  Socket socket;
  int64_t started = 0;
  size_t missing = 0;
  bool sent = false;
};

class Churner {
 public:
  explicit Churner(const Options& options)
      : options_(options),
        message_(Message(options.size)),
        slots_(static_cast<size_t>(options.connections)) {}

  int Run() {
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (!Start(i)) return Fail("start a connection");
    }
    int64_t begin = NowNs() + static_cast<int64_t>(options_.warmup * 1e9);
    int64_t end = begin + static_cast<int64_t>(options_.seconds * 1e9);
    std::vector<epoll_event> events(slots_.size());
    int capacity = static_cast<int>(events.size());
    for (int64_t now = NowNs(); now < end; now = NowNs()) {
      int count = poller_.Wait(events.data(), capacity, 1000);
      if (count < 0) return Fail("wait");
      for (int i = 0; i < count; ++i) {
        size_t index = events[i].data.u64;
        if (!Step(slots_[index])) {
          ++failed_;
          if (failed_ > 1000) return Fail("1000 connections, last");
        } else if (slots_[index].missing > 0) {
          continue;
        } else {
          Count(slots_[index], begin);
        }
        slots_[index].socket.Close();
        if (!Start(index)) return Fail("start a connection");
      }
    }
    std::printf(
        "{\"count\": %zu, \"total\": %zu, \"rate\": %.1f, "
        "\"failed\": %d, %s}\n",
        latencies_.size(), total_,
        static_cast<double>(latencies_.size()) / options_.seconds, failed_,
        latencies_.ToJson().c_str());
    return 0;
  }

 private:
  bool Start(size_t index) {
    Slot& slot = slots_[index];
    slot.started = NowNs();
    slot.missing = message_.size();
    slot.sent = false;
    slot.socket = StartConnect(options_.to);
    return slot.socket.valid() && poller_.Add(slot.socket, EPOLLOUT, index);
  }

  void Count(const Slot& slot, int64_t begin) {
    ++total_;
    if (slot.started >= begin) latencies_.Add(NowNs() - slot.started);
  }

  // False when the connection failed; through when nothing is missing.
  bool Step(Slot& slot) {
    if (!slot.sent) {
      slot.sent = true;
      return send(slot.socket.get(), message_.data(), message_.size(),
                  MSG_NOSIGNAL) == static_cast<ssize_t>(message_.size()) &&
             poller_.Change(slot.socket, EPOLLIN,
                            static_cast<uint64_t>(&slot - slots_.data()));
    }
    char buffer[65536];
    ssize_t count = recv(slot.socket.get(), buffer,
                         std::min(slot.missing, sizeof(buffer)), 0);
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) return false;
    slot.missing -= static_cast<size_t>(count);
    return true;
  }

  const Options& options_;
  std::string message_;
  std::vector<Slot> slots_;
  Poller poller_;
  Latencies latencies_;
  size_t total_ = 0;  // with those of the warm-up
  int failed_ = 0;
};

}  // namespace

int Churn(const Options& options) { return Churner(options).Run(); }

}  // namespace nodeward::load
