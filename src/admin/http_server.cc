// SPDX-License-Identifier: Apache-2.0
#include "admin/http_server.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <list>
#include <string_view>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/text.h"
#include "io/loop.h"
#include "io/socket.h"

namespace nodeward::admin {
namespace {

using base::StrCat;
using Response = HttpServer::Response;

std::string_view Phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

std::string Serialize(const Response& response, bool with_body) {
  std::string text =
      StrCat("HTTP/1.1 ", response.status, " ", Phrase(response.status),
             "\r\nContent-Type: ", response.content_type,
             "\r\nContent-Length: ", response.body.size(),
             response.status == 405 ? "\r\nAllow: GET, HEAD" : "",
             "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
  if (with_body) text += response.body;
  return text;
}

Response Plain(int status) {
  return {.status = status, .body = StrCat(Phrase(status), "\n")};
}

// Not valid: errno says why.
base::Fd Bind(const base::IpAddress& address, uint16_t port) {
  const int family = address.family();
  base::Fd fd(
      socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd.valid()) return fd;
  const int on = 1, off = 0;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (family == AF_INET6) {
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  sockaddr_storage storage{};
  const socklen_t length =
      base::Endpoint{address, port}.ToSockaddr(&storage, family);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0 ||
      listen(fd.get(), 128) != 0) {
    const int error = errno;
    fd.Reset();
    errno = error;
    return fd;
  }
  // Only now: the port is this agent's alone, but one that takes over on
  // purpose can bind it while this one still serves.
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  return fd;
}

base::StatusOr<base::Fd> Open(const base::IpAddress& address, uint16_t port) {
  base::Fd fd = Bind(address, port);
  // No IPv6 on this host, or switched off: "every address" is IPv4's then.
  if (!fd.valid() && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
      !address.is_v4() && address.is_unspecified()) {
    fd = Bind(base::IpAddress::V4(INADDR_ANY), port);
  }
  if (fd.valid()) return fd;
  const int error = errno;
  return base::ErrnoStatus(
      error, StrCat("serve HTTP on ", base::Endpoint{address, port}.ToString(),
                    error == EADDRINUSE
                        ? " (another program has it, maybe another agent: "
                        : " (",
                    "choose others with metricsAddress, metricsPort and "
                    "readinessPort)"));
}

}  // namespace

Response RespondTo(const std::string& head, const HttpServer::Routes& routes) {
  // RFC 9112 section 3: method SP target SP version.
  std::string_view line = std::string_view(head).substr(0, head.find("\r\n"));
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last <= first + 1 ||
      !line.substr(last + 1).starts_with("HTTP/1.")) {
    return Plain(400);
  }
  const std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  target = target.substr(0, target.find('?'));
  const auto route = routes.find(std::string(target));
  if (route == routes.end()) return Plain(404);
  if (method != "GET" && method != "HEAD") return Plain(405);
  return route->second();
}

// Everything but Start and Stop happens on its thread.
class HttpServer::Impl final : private io::Watcher {
 public:
  static base::StatusOr<std::unique_ptr<Impl>> Create(base::Fd listener,
                                                      Options options,
                                                      Routes routes);
  ~Impl();
  void Run() {
    thread_ = std::thread([this] { loop_->Run(); });
  }
  uint16_t port() const { return port_; }
  int listener() const { return listener_.get(); }

 private:
  class Client;
  Impl() = default;
  void OnEvents(uint32_t events) override;
  void Drop(Client* client);

  Routes routes_;
  absl::Duration deadline_;
  uint16_t port_ = 0;
  std::unique_ptr<io::Loop> loop_;
  base::Fd listener_;
  std::list<std::shared_ptr<Client>> clients_;  // oldest first
  std::thread thread_;
};

class HttpServer::Impl::Client final : private io::Watcher {
 public:
  Client(Impl& server, base::Fd fd)
      : server_(server),
        loop_(*server.loop_),
        fd_(std::move(fd)),
        deadline_(loop_, [this] { End(); }) {}
  ~Client() { loop_.Remove(fd_.get(), this); }

  base::Status Start() {
    deadline_.Set(server_.deadline_);
    return loop_.Add(fd_.get(), EPOLLIN, this);
  }

 private:
  void OnEvents(uint32_t) override {
    if (ended_) return;
    if (replying_) {
      Write();
    } else {
      Read();
    }
  }

  void Read() {
    uint8_t buffer[2048];
    const io::Transfer got = io::Read(fd_.get(), buffer);
    if (got.progress == io::Progress::kWouldBlock) return;
    // After the reply's end: only the peer's FIN is awaited.
    if (got.progress != io::Progress::kBytes) return End();
    if (finished_) return Discard(got.count);
    head_ += base::AsText({buffer, got.count});
    const size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos && head_.size() <= kMaxRequestBytes) return;
    // npos, too, is more.
    Response response =
        end > kMaxRequestBytes ? Plain(431) : RespondTo(head_, server_.routes_);
    reply_ = Serialize(response, !head_.starts_with("HEAD "));
    head_ = std::string();
    replying_ = true;
    Write();
  }

  void Write() {
    while (sent_ < reply_.size()) {
      const io::Transfer put = io::Write(
          fd_.get(), base::AsBytes(std::string_view(reply_).substr(sent_)));
      if (put.progress == io::Progress::kWouldBlock) {
        if (!loop_.Modify(fd_.get(), EPOLLOUT, this).ok()) End();
        return;
      }
      if (put.progress != io::Progress::kBytes) return End();
      sent_ += put.count;
    }
    // Closing now would reset the connection, and with it the reply, if the
    // client has sent more than was read.
    reply_ = std::string();
    io::FinishWriting(fd_.get());
    replying_ = false;
    finished_ = true;
    if (!loop_.Modify(fd_.get(), EPOLLIN, this).ok()) End();
  }

  void Discard(size_t count) {
    discarded_ += count;
    if (discarded_ > 16 * kMaxRequestBytes) End();
  }

  void End() {
    if (!std::exchange(ended_, true)) server_.Drop(this);
  }

  Impl& server_;
  io::Loop& loop_;
  base::Fd fd_;
  io::Timer deadline_;
  std::string head_;
  std::string reply_;
  size_t sent_ = 0;
  size_t discarded_ = 0;
  bool replying_ = false;
  bool finished_ = false;
  bool ended_ = false;
};

base::StatusOr<std::unique_ptr<HttpServer::Impl>> HttpServer::Impl::Create(
    base::Fd listener, Options options, Routes routes) {
  auto impl = std::unique_ptr<Impl>(new Impl());
  impl->routes_ = std::move(routes);
  impl->deadline_ = options.deadline;
  impl->listener_ = std::move(listener);
  NODEWARD_ASSIGN(const base::Endpoint local,
                  io::LocalEndpoint(impl->listener_.get()));
  impl->port_ = local.port;
  NODEWARD_ASSIGN(impl->loop_, io::Loop::Create());
  // Edge-triggered: with no descriptor left, a connection that waits must not
  // make the loop spin.
  NODEWARD_TRY(
      impl->loop_->Add(impl->listener_.get(), EPOLLIN | EPOLLET, impl.get()));
  return impl;
}

HttpServer::Impl::~Impl() {
  if (!thread_.joinable()) return;
  loop_->Stop();
  thread_.join();
}

void HttpServer::Impl::OnEvents(uint32_t) {
  for (;;) {
    base::Fd fd(accept4(listener_.get(), nullptr, nullptr,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid() && errno == ECONNABORTED) continue;
    if (!fd.valid()) return;
    if (clients_.size() >= kMaxClients) Drop(clients_.front().get());
    clients_.push_back(std::make_shared<Client>(*this, std::move(fd)));
    Client* const client = clients_.back().get();
    if (!client->Start().ok()) Drop(client);
  }
}

void HttpServer::Impl::Drop(Client* client) {
  for (auto it = clients_.begin(); it != clients_.end(); ++it) {
    if (it->get() != client) continue;
    // The client may be what is calling.
    loop_->Defer([dropped = std::move(*it)] {});
    clients_.erase(it);
    return;
  }
}

base::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(Options options,
                                                              Routes routes) {
  NODEWARD_ASSIGN(base::Fd listener, Open(options.address, options.port));
  return Adopt(std::move(listener), options, std::move(routes));
}

base::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Adopt(base::Fd listener,
                                                              Options options,
                                                              Routes routes) {
  NODEWARD_ASSIGN(
      auto impl, Impl::Create(std::move(listener), options, std::move(routes)));
  impl->Run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;
uint16_t HttpServer::port() const { return impl_->port(); }
int HttpServer::listener() const { return impl_->listener(); }

}  // namespace nodeward::admin
