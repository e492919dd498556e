// SPDX-License-Identifier: Apache-2.0
#include "admin/control.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/time/clock.h"
#include "admin/run_dir.h"
#include "base/bytes.h"
#include "base/text.h"
#include "io/socket.h"

namespace nodeward::admin {
namespace {

using base::Json;
using base::StrCat;

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ErrorReply(std::string_view error) {
  return Line({{"ok", false}, {"error", error}});
}

bool MayAsk(int fd, uid_t allowed) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return false;
  }
  return peer.uid == 0 || peer.uid == allowed;
}

}  // namespace

ControlServer::Options::Options() : allowed_user(geteuid()) {}

// One connection: reads a line, writes the answer and what is streamed behind
// it, is dropped. It never deletes itself while it is on the stack.
class ControlServer::Client final : private io::Watcher {
 public:
  Client(ControlServer& server, base::Fd fd)
      : server_(server),
        loop_(server.loop_),
        fd_(std::move(fd)),
        deadline_(loop_, [this] { End(); }),
        next_fill_(loop_, [this] { Write(); }) {}
  ~Client() { loop_.Remove(fd_.get(), this); }

  base::Status Start(absl::Duration deadline) {
    deadline_.Set(deadline);
    return loop_.Add(fd_.get(), EPOLLIN, this);
  }

  void Say(Reply reply) {
    reply_ = std::move(reply.text);
    stream_ = std::move(reply.stream);
    request_.clear();
    request_.shrink_to_fit();
    replying_ = true;
    // It lasts as long as the client wants.
    if (stream_ != nullptr) deadline_.Cancel();
    Write();
  }

 private:
  void OnEvents(uint32_t) override {
    if (ended_) return;
    if (!replying_) return Read();
    if (stream_ != nullptr && !stopped_) Listen();
    if (!ended_) Write();
  }

  // A client that streams says nothing more than its end.
  void Listen() {
    uint8_t buffer[4096];
    const io::Transfer got = io::Read(fd_.get(), buffer);
    if (got.progress == io::Progress::kReset) return End();
    if (got.progress != io::Progress::kEnd) return;
    stopped_ = true;
    stream_->Stop();
    deadline_.Set(server_.options_.deadline);
  }

  void Read() {
    uint8_t buffer[4096];
    const io::Transfer got = io::Read(fd_.get(), buffer);
    if (got.progress == io::Progress::kWouldBlock) return;
    if (got.progress != io::Progress::kBytes) return End();
    request_ += base::AsText({buffer, got.count});
    const size_t end = request_.find('\n');
    if (std::min(end, request_.size()) > kMaxRequestBytes) {
      return Say({ErrorReply(StrCat("request of more than ", kMaxRequestBytes,
                                    " bytes refused")),
                  nullptr});
    }
    if (end == std::string::npos) return;
    request_.resize(end);
    const bool given = server_.GiveAway(request_, [this] {
      loop_.Remove(fd_.get(), this);
      return std::move(fd_);
    });
    given ? End() : Say(server_.Answer(request_));
  }

  void Write() {
    if (sent_ == reply_.size() && stream_ != nullptr) Refill();
    while (sent_ < reply_.size()) {
      const io::Transfer put = io::Write(
          fd_.get(), base::AsBytes(std::string_view(reply_).substr(sent_)));
      if (put.progress == io::Progress::kWouldBlock) return Await(EPOLLOUT);
      if (put.progress != io::Progress::kBytes) return End();
      sent_ += put.count;
    }
    if (stream_ == nullptr) return End();
    Await(0);
    next_fill_.Set(stopped_ ? absl::ZeroDuration() : kStreamInterval);
  }

  void Refill() {
    reply_.clear();
    sent_ = 0;
    stream_->Fill(&reply_);
    if (!stopped_ || !reply_.empty()) return;
    reply_ = stream_->LastLine();
    stream_.reset();
  }

  void Await(uint32_t events) {
    // Its end would be reported again and again.
    if (stream_ != nullptr && !stopped_) events |= EPOLLIN;
    if (!loop_.Modify(fd_.get(), events, this).ok()) End();
  }

  void End() {
    if (std::exchange(ended_, true)) return;
    server_.Drop(this);
  }

  ControlServer& server_;
  io::Loop& loop_;  // for the end, which the server may not live to see
  base::Fd fd_;
  io::Timer deadline_;
  io::Timer next_fill_;
  std::string request_;
  std::string reply_;
  size_t sent_ = 0;
  std::unique_ptr<LineSource> stream_;
  bool stopped_ = false;  // the client wants no more
  bool replying_ = false;
  bool ended_ = false;
};

base::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Listen(
    io::Loop& loop, const std::string& path, Options options) {
  const std::string doing = StrCat("listen on control socket ", path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        StrCat(doing, ": the path is too long; choose a shorter --run-dir"));
  }
  memcpy(address.sun_path, path.data(), path.size());
  base::Fd listener(
      socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return base::ErrnoStatus(errno, doing);
  struct stat about {};
  if (lstat(path.c_str(), &about) == 0) {
    if (!S_ISSOCK(about.st_mode)) {
      return absl::AlreadyExistsError(
          StrCat(doing, ": something that is no socket lies there; remove it"));
    }
    unlink(path.c_str());
  }
  // bind(2) gives the file the socket's own mode: it is 0600 from the first
  // moment, without the umask, which belongs to all threads.
  if (fchmod(listener.get(), 0600) != 0 ||
      bind(listener.get(), reinterpret_cast<sockaddr*>(&address),
           sizeof(address)) != 0 ||
      listen(listener.get(), 64) != 0) {
    return base::ErrnoStatus(errno, doing);
  }
  return Adopt(loop, path, std::move(listener), options);
}

base::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Adopt(
    io::Loop& loop, const std::string& path, base::Fd listener,
    Options options) {
  auto server = std::unique_ptr<ControlServer>(
      new ControlServer(loop, path, std::move(listener), options));
  // Edge-triggered: with no descriptor left, a connection that waits must not
  // make the loop spin.
  NODEWARD_TRY(
      loop.Add(server->listener_.get(), EPOLLIN | EPOLLET, server.get()));
  return server;
}

ControlServer::ControlServer(io::Loop& loop, std::string path,
                             base::Fd listener, Options options)
    : loop_(loop),
      path_(std::move(path)),
      listener_(std::move(listener)),
      options_(options) {}

ControlServer::~ControlServer() {
  loop_.Remove(listener_.get(), this);
  if (!path_.empty()) unlink(path_.c_str());
}

void ControlServer::Handle(const std::string& command, Handler handler) {
  handlers_[command] = std::move(handler);
}

void ControlServer::HandleStream(const std::string& command,
                                 StreamHandler handler) {
  stream_handlers_[command] = std::move(handler);
}

void ControlServer::HandleConnection(const std::string& command,
                                     ConnectionHandler handler) {
  connection_handlers_[command] = std::move(handler);
}

bool ControlServer::GiveAway(const std::string& request,
                             absl::FunctionRef<base::Fd()> connection) {
  if (connection_handlers_.empty()) return false;
  const auto json = base::ParseJson(request);
  if (!json.ok()) return false;
  const auto handler =
      connection_handlers_.find(base::GetString(*json, "command"));
  if (handler == connection_handlers_.end()) return false;
  handler->second(connection(), base::GetMember(*json, "args"));
  return true;
}

void ControlServer::OnEvents(uint32_t) {
  for (;;) {
    base::Fd fd(accept4(listener_.get(), nullptr, nullptr,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid() && errno == ECONNABORTED) continue;
    if (!fd.valid()) return;
    const bool allowed = MayAsk(fd.get(), options_.allowed_user);
    const bool room = clients_.size() < kMaxClients;
    if (!allowed || !room) {
      const std::string why =
          ErrorReply(allowed ? "too many clients at once; try again"
                             : "only root and the agent's own user may ask");
      // Best effort: a fresh socket's buffer takes a line.
      (void)io::Write(fd.get(), base::AsBytes(why));
      continue;
    }
    auto client = std::make_unique<Client>(*this, std::move(fd));
    Client* const raw = client.get();
    clients_[raw] = std::move(client);
    if (!raw->Start(options_.deadline).ok()) Drop(raw);
  }
}

void ControlServer::Drop(Client* client) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  // The client may be what is calling.
  std::shared_ptr<Client> dropped = std::move(found->second);
  clients_.erase(found);
  loop_.Defer([dropped] {});
}

ControlServer::Reply ControlServer::Answer(const std::string& request) {
  const auto json = base::ParseJson(request);
  if (!json.ok() || !json->is_object()) {
    return {ErrorReply("the request is no JSON object"), nullptr};
  }
  const std::string command = base::GetString(*json, "command");
  const auto streams = stream_handlers_.find(command);
  if (streams != stream_handlers_.end()) {
    auto stream = streams->second(base::GetMember(*json, "args"));
    if (!stream.ok()) {
      return {ErrorReply(base::FromAbsl(stream.status().message())), nullptr};
    }
    return {Line({{"ok", true}, {"stream", true}}), *std::move(stream)};
  }
  const auto handler = handlers_.find(command);
  if (handler == handlers_.end()) {
    return {ErrorReply(StrCat("unknown command '", command,
                              "': the agent may be older than this nodeward")),
            nullptr};
  }
  auto result = handler->second(base::GetMember(*json, "args"));
  if (!result.ok()) {
    return {ErrorReply(base::FromAbsl(result.status().message())), nullptr};
  }
  Json reply = {{"ok", true}};
  reply["result"] = *std::move(result);
  std::string line = Line(reply);
  if (line.size() <= kMaxReplyBytes) return {std::move(line), nullptr};
  return {ErrorReply("the answer is too large; ask for one namespace"),
          nullptr};
}

// --- the asking side ---------------------------------------------------------

base::StatusOr<base::Fd> ConnectAgent(const std::string& run_dir,
                                      absl::Duration timeout) {
  const std::string path = RunDir::ControlSocketIn(run_dir);
  const std::string doing = StrCat("ask the agent at ", path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(StrCat(doing, ": the path is too long"));
  }
  memcpy(address.sun_path, path.data(), path.size());
  base::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return base::ErrnoStatus(errno, doing);
  const timeval wait = absl::ToTimeval(timeout);
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
              sizeof(address)) == 0) {
    return fd;
  }
  switch (errno) {
    case ENOENT:
      return absl::UnavailableError(
          StrCat("agent is not running? no socket at ", path,
                 "; use --run-dir or NODEWARD_RUN_DIR"));
    case ECONNREFUSED:
      return absl::UnavailableError(
          StrCat("agent is not running? nobody listens at ", path));
    case EACCES:
      return absl::PermissionDeniedError(
          StrCat(doing, ": permission denied; run it as root"));
    default:
      return base::ErrnoStatus(errno, doing);
  }
}

namespace {

// A refusal may have been written before the request was read: what cannot be
// sent is no error yet.
void SendRequest(int fd, const std::string& command, const Json& args) {
  const std::string request = Line({{"command", command}, {"args", args}});
  for (std::string_view rest = request; !rest.empty();) {
    const io::Transfer put = io::Write(fd, base::AsBytes(rest));
    if (put.progress != io::Progress::kBytes) return;
    rest.remove_prefix(put.count);
  }
}

base::Status RefusalOf(const Json& reply) {
  if (base::GetBool(reply, "ok")) return base::OkStatus();
  return absl::FailedPreconditionError(
      base::GetString(reply, "error", "the agent gave no reason"));
}

}  // namespace

base::StatusOr<Json> AskAgent(const std::string& run_dir,
                              const std::string& command, const Json& args,
                              absl::Duration timeout) {
  const std::string path = RunDir::ControlSocketIn(run_dir);
  NODEWARD_ASSIGN(const base::Fd fd, ConnectAgent(run_dir, timeout));
  SendRequest(fd.get(), command, args);
  std::string reply;
  std::string buffer(64 * 1024, '\0');
  while (reply.empty() || reply.back() != '\n') {
    const io::Transfer got = io::Read(
        fd.get(), {reinterpret_cast<uint8_t*>(buffer.data()), buffer.size()});
    if (got.progress == io::Progress::kWouldBlock) {
      return absl::DeadlineExceededError(StrCat("the agent at ", path,
                                                " did not answer within ",
                                                absl::FormatDuration(timeout)));
    }
    if (got.progress != io::Progress::kBytes) {
      return absl::UnavailableError(
          StrCat("the agent at ", path, " hung up before it answered"));
    }
    reply.append(buffer, 0, got.count);
    if (reply.size() > ControlServer::kMaxReplyBytes + 1) {
      return absl::ResourceExhaustedError("the agent's answer is too large");
    }
  }
  auto json = base::ParseJson(reply);
  if (!json.ok()) {
    return base::Annotate(json.status(), "read the agent's answer");
  }
  NODEWARD_TRY(RefusalOf(*json));
  return base::GetMember(*json, "result");
}

namespace {

constexpr absl::Duration kAnswerWait = absl::Seconds(15);
constexpr absl::Duration kLastWords = absl::Seconds(10);

// The lines of a streaming command, one after the other.
class Follower {
 public:
  Follower(const base::Fd& fd, const std::function<bool(const Json&)>& line)
      : fd_(fd), line_(line) {}

  // Reads what there is. True: that was all.
  base::StatusOr<bool> Read() {
    uint8_t buffer[64 * 1024];
    const io::Transfer got = io::Read(fd_.get(), buffer);
    if (got.progress == io::Progress::kWouldBlock) return false;
    if (got.progress != io::Progress::kBytes) {
      if (stopping_) return true;
      return absl::UnavailableError(begun_ ? "the agent has ended"
                                           : "the agent hung up before it "
                                             "answered");
    }
    pending_ += base::AsText({buffer, got.count});
    size_t begin = 0;
    for (size_t end; (end = pending_.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      auto json = base::ParseJson(
          std::string_view(pending_).substr(begin, end - begin));
      if (!json.ok()) {
        return base::Annotate(json.status(), "read the agent's answer");
      }
      if (!std::exchange(begun_, true)) {
        NODEWARD_TRY(RefusalOf(*json));
      } else if (!line_(*json)) {
        return true;
      }
    }
    pending_.erase(0, begin);
    if (pending_.size() <= ControlServer::kMaxReplyBytes) return false;
    return absl::ResourceExhaustedError("the agent's answer is too large");
  }

  void Stop() {
    stopping_ = true;
    shutdown(fd_.get(), SHUT_WR);
  }
  bool begun() const { return begun_; }
  bool stopping() const { return stopping_; }

 private:
  const base::Fd& fd_;
  const std::function<bool(const Json&)>& line_;
  std::string pending_;
  bool begun_ = false;
  bool stopping_ = false;
};

}  // namespace

base::Status FollowAgent(const std::string& run_dir, const std::string& command,
                         const Json& args, int stop_fd,
                         const std::function<bool(const Json&)>& line) {
  const std::string path = RunDir::ControlSocketIn(run_dir);
  NODEWARD_ASSIGN(const base::Fd fd, ConnectAgent(run_dir, kAnswerWait));
  SendRequest(fd.get(), command, args);
  Follower follower(fd, line);
  absl::Time deadline = absl::Now() + kAnswerWait;
  for (;;) {
    pollfd fds[2] = {{fd.get(), POLLIN, 0},
                     {follower.stopping() ? -1 : stop_fd, POLLIN, 0}};
    const bool limited = !follower.begun() || follower.stopping();
    const int64_t left =
        std::max<int64_t>(0, absl::ToInt64Milliseconds(deadline - absl::Now()));
    const int ready = poll(fds, 2, limited ? static_cast<int>(left) : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return base::ErrnoStatus(errno, "wait for the agent");
    if (ready == 0 && follower.stopping()) return base::OkStatus();
    if (ready == 0) {
      return absl::DeadlineExceededError(
          StrCat("the agent at ", path, " did not answer within ",
                 absl::FormatDuration(kAnswerWait)));
    }
    if (fds[1].revents != 0) {
      follower.Stop();
      deadline = absl::Now() + kLastWords;
    }
    if (fds[0].revents == 0) continue;
    NODEWARD_ASSIGN(const bool over, follower.Read());
    if (over) return base::OkStatus();
  }
}

}  // namespace nodeward::admin
