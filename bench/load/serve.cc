// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <unordered_map>
#include <vector>

#include "modes.h"

namespace nodeward::load {
namespace {

constexpr uint64_t kListener = UINT64_MAX;

class EchoServer {
 public:
  explicit EchoServer(Socket listener) : listener_(std::move(listener)) {}

  int Run() {
    if (!poller_.Add(listener_, EPOLLIN, kListener)) return Fail("watch");
    std::printf("{\"serving\": true}\n");
    std::fflush(stdout);
    std::vector<epoll_event> events(512);
    while (true) {
      int count = poller_.Wait(events.data(), 512, -1);
      if (count < 0) return Fail("wait");
      for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == kListener) {
          AcceptAll();
        } else {
          Echo(static_cast<int>(events[i].data.u64), events[i].events);
        }
      }
    }
  }

 private:
  struct Client {
    Socket socket;
    std::string unsent;    // what the client has not taken yet
    bool blocked = false;  // watched for EPOLLOUT instead of EPOLLIN
  };

  void AcceptAll() {
    while (true) {
      Socket socket = Accept(listener_);
      if (!socket.valid()) return;
      uint64_t fd = static_cast<uint64_t>(socket.get());
      if (!poller_.Add(socket, EPOLLIN, fd)) continue;
      clients_[socket.get()].socket = std::move(socket);
    }
  }

  void Echo(int fd, uint32_t events) {
    auto found = clients_.find(fd);
    if (found == clients_.end()) return;
    Client& client = found->second;
    bool alive = true;
    if (events & EPOLLOUT) alive = Flush(client);
    if (alive && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
      alive = Read(client);
    }
    if (!alive) clients_.erase(found);
  }

  bool Read(Client& client) {
    ssize_t count = recv(client.socket.get(), buffer_, sizeof(buffer_), 0);
    if (count == 0) return false;
    if (count < 0) return errno == EAGAIN;
    client.unsent.append(buffer_, static_cast<size_t>(count));
    return Flush(client);
  }

  bool Flush(Client& client) {
    ssize_t count = send(client.socket.get(), client.unsent.data(),
                         client.unsent.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) return false;
    if (count > 0) client.unsent.erase(0, static_cast<size_t>(count));
    bool waits = !client.unsent.empty();
    if (waits == client.blocked) return true;
    // Reads nothing more while the client does not take what it is owed.
    client.blocked = waits;
    return poller_.Change(client.socket,
                          waits ? uint32_t{EPOLLOUT} : uint32_t{EPOLLIN},
                          static_cast<uint64_t>(client.socket.get()));
  }

  Socket listener_;
  Poller poller_;
  std::unordered_map<int, Client> clients_;
  char buffer_[65536];
};

}  // namespace

int Serve(const Options& options) {
  Socket listener = Listen(options.to);
  if (!listener.valid()) return Fail("listen");
  static EchoServer server(std::move(listener));
  return server.Run();
}

}  // namespace nodeward::load
