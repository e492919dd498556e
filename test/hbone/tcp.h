// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"

namespace nodeward::hbone {

// How a blocking connection ended for the application that reads it.
enum class Ending { kFin, kReset, kTimeout };
inline std::ostream& operator<<(std::ostream& out, Ending ending) {
  switch (ending) {
    case Ending::kFin:
      return out << "FIN";
    case Ending::kReset:
      return out << "RST";
    case Ending::kTimeout:
      return out << "time-out";
  }
  return out;
}

// An application's socket: blocking, every call bounded by a generous limit.
class Tcp {
 public:
  explicit Tcp(base::Fd fd);

  bool Send(std::string_view bytes);
  // Up to `count` bytes, fewer when the connection ends before.
  std::string Receive(size_t count);
  // Reads to the end and drops the bytes; how many there were in `count`.
  Ending AwaitEnd(uint64_t* count = nullptr);
  // No byte and no end within `millis`.
  bool StaysOpen(int millis);
  // Bytes written before the writer is stopped for `millis`, at most `limit`.
  uint64_t FillUp(uint64_t limit, int millis);
  void Finish();  // FIN
  void Reset();   // RST
  int fd() const { return fd_.get(); }
  void Close() { fd_.Reset(); }
  base::Endpoint peer() const;
  base::Endpoint local() const;

 private:
  base::Fd fd_;
};

// An unconnected socket bound to `local` (port 0: any).
base::Fd BoundSocket(const base::Endpoint& local);
// -1, or the connected socket; `error` gets errno.
base::Fd ConnectFrom(const base::Endpoint& local, const base::Endpoint& to,
                     int* error = nullptr);
// Non-blocking, for the engine; or for a Server.
base::Fd ListenOn(const base::Endpoint& local);

// A server application: a thread a connection, which runs `serve`.
class Server {
 public:
  using Serve = std::function<void(Tcp)>;
  Server(const base::Endpoint& at, Serve serve);
  ~Server();
  const base::Endpoint& at() const { return at_; }
  int accepted() const { return accepted_.load(); }

 private:
  base::Fd listener_;
  base::Endpoint at_;
  Serve serve_;
  std::atomic<int> accepted_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// What comes back as it is, until FIN, which is answered by FIN.
void Echo(Tcp tcp);

// True once `condition` holds; false after a generous limit.
bool Await(const std::function<bool()>& condition);

}  // namespace nodeward::hbone
