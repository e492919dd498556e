// SPDX-License-Identifier: Apache-2.0
#include "cni/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/text.h"
#include "io/socket.h"

namespace nodeward::cni {
namespace {

using base::StrCat;

bool IsRoot(int fd) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
         peer.uid == 0;
}

}  // namespace

// One connection: a line is read, a line is written, it is dropped.
class Server::Client final : private io::Watcher {
 public:
  Client(Server& server, uint64_t id, base::Fd fd)
      : server_(server),
        loop_(server.loop_),
        id_(id),
        fd_(std::move(fd)),
        deadline_(loop_, [this] { server_.Drop(id_); }) {}
  ~Client() { loop_.Remove(fd_.get(), this); }

  base::Status Start() {
    deadline_.Set(server_.options_.patience);
    return loop_.Add(fd_.get(), EPOLLIN, this);
  }

  void Say(const Answer& answer) {
    if (std::exchange(answered_, true)) return;
    line_ = LineOf(answer);
    deadline_.Set(server_.options_.patience);
    Write();
  }

 private:
  void OnEvents(uint32_t) override {
    if (answered_) return Write();
    uint8_t buffer[4096];
    const io::Transfer got = io::Read(fd_.get(), buffer);
    if (got.progress == io::Progress::kWouldBlock) return;
    // Whoever has asked and hangs up waits no more.
    if (got.progress != io::Progress::kBytes || asked_) {
      return server_.Drop(id_);
    }
    line_ += base::AsText({buffer, got.count});
    if (line_.size() > kMaxQuestionBytes) return server_.Drop(id_);
    if (!line_.ends_with('\n')) return;
    asked_ = true;
    deadline_.Cancel();  // the answer takes what it takes
    server_.Take(id_, std::exchange(line_, ""));
  }

  void Write() {
    while (sent_ < line_.size()) {
      const io::Transfer put = io::Write(
          fd_.get(), base::AsBytes(std::string_view(line_).substr(sent_)));
      if (put.progress == io::Progress::kWouldBlock &&
          loop_.Modify(fd_.get(), EPOLLOUT, this).ok()) {
        return;
      }
      if (put.progress != io::Progress::kBytes) break;
      sent_ += put.count;
    }
    server_.Drop(id_);
  }

  Server& server_;
  io::Loop& loop_;  // for the end, which the server may not live to see
  const uint64_t id_;
  base::Fd fd_;
  io::Timer deadline_;
  std::string line_;
  size_t sent_ = 0;
  bool asked_ = false;
  bool answered_ = false;
};

base::StatusOr<std::unique_ptr<Server>> Server::Listen(io::Loop& loop,
                                                       const std::string& path,
                                                       Handler handler,
                                                       Options options) {
  const std::string doing = StrCat("listen for the CNI plugin at ", path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        StrCat(doing, ": the path is too long; choose a shorter runDir"));
  }
  memcpy(address.sun_path, path.data(), path.size());
  base::Fd listener(
      socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return base::ErrnoStatus(errno, doing);
  unlink(path.c_str());
  // bind(2) gives the file the socket's own mode.
  if (fchmod(listener.get(), 0600) != 0 ||
      bind(listener.get(), reinterpret_cast<sockaddr*>(&address),
           sizeof(address)) != 0 ||
      listen(listener.get(), kMaxClients) != 0) {
    return base::ErrnoStatus(errno, doing);
  }
  std::unique_ptr<Server> server(
      new Server(loop, path, std::move(listener), std::move(handler), options));
  struct stat about {};
  if (lstat(path.c_str(), &about) == 0) {
    server->device_ = about.st_dev;
    server->inode_ = about.st_ino;
  }
  // Edge-triggered: with no descriptor left, a connection that waits must not
  // make the loop spin.
  NODEWARD_TRY(
      loop.Add(server->listener_.get(), EPOLLIN | EPOLLET, server.get()));
  return server;
}

Server::Server(io::Loop& loop, std::string path, base::Fd listener,
               Handler handler, Options options)
    : loop_(loop),
      path_(std::move(path)),
      listener_(std::move(listener)),
      handler_(std::move(handler)),
      options_(options) {}

Server::~Server() {
  loop_.Remove(listener_.get(), this);
  // Another agent of this node may have taken the place.
  struct stat about {};
  if (lstat(path_.c_str(), &about) == 0 && about.st_dev == device_ &&
      about.st_ino == inode_) {
    unlink(path_.c_str());
  }
}

void Server::OnEvents(uint32_t) {
  for (;;) {
    base::Fd fd(accept4(listener_.get(), nullptr, nullptr,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid() && errno == ECONNABORTED) continue;
    if (!fd.valid()) return;
    if (!IsRoot(fd.get()) || clients_.size() >= kMaxClients) continue;
    const uint64_t id = next_++;
    auto client = std::make_shared<Client>(*this, id, std::move(fd));
    clients_[id] = client;
    if (!client->Start().ok()) Drop(id);
  }
}

void Server::Take(uint64_t id, const std::string& line) {
  const Reply reply =
      [this, id, alive = std::weak_ptr<bool>(alive_)](const Answer& answer) {
        if (alive.expired()) return;
        const auto found = clients_.find(id);
        if (found == clients_.end()) return;
        const std::shared_ptr<Client> client = found->second;
        client->Say(answer);
      };
  const auto question = ReadQuestion(line);
  if (question.ok()) return handler_(*question, reply);
  reply({Answer::Kind::kRefused,
         StrCat("the question is broken: ",
                base::FromAbsl(question.status().message()))});
}

void Server::Drop(uint64_t id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  // The client may be what is calling.
  std::shared_ptr<Client> dropped = std::move(found->second);
  clients_.erase(found);
  loop_.Defer([dropped] {});
}

}  // namespace nodeward::cni
