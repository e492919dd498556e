// SPDX-License-Identifier: Apache-2.0
#include "kube/http_client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "base/handle.h"
#include "base/text.h"
#include "pki/file.h"
#include "pki/key.h"

namespace nodeward::kube {
namespace {

constexpr size_t kMaxBody = 4 << 20;
constexpr long kConnectMs = 10'000;
constexpr long kKeepAliveSeconds = 15;
constexpr long kKeepAliveEvery = 5;
constexpr unsigned kUnacknowledgedMs = 30'000;

using Headers = base::Handle<curl_slist, curl_slist_free_all>;

void InitOnce() {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)kReady;
}

// curl_slist_append leaves the list as it was when it fails.
bool Add(Headers* headers, const std::string& line) {
  curl_slist* const longer = curl_slist_append(headers->get(), line.c_str());
  if (longer == nullptr) return false;
  (void)headers->release();
  headers->reset(longer);
  return true;
}

std::string Trimmed(const std::string& text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  return text.substr(0, end == std::string::npos ? 0 : end + 1);
}

long Millis(absl::Duration duration) {
  return static_cast<long>(absl::ToInt64Milliseconds(duration));
}

int SetSocketOptions(void*, curl_socket_t socket, curlsocktype) {
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMs,
             sizeof(kUnacknowledgedMs));
  return CURL_SOCKOPT_OK;
}

}  // namespace

// curl's multi handle on the loop: its sockets are watched there, its one timer
// is a timer of the loop.
class HttpClient::Multi {
 public:
  // `done` is told of each transfer that has ended, outside of curl.
  Multi(io::Loop& loop, std::function<void(CURL*, CURLcode)> done)
      : loop_(loop),
        done_(std::move(done)),
        multi_(curl_multi_init()),
        timer_(loop, [this] { Act(CURL_SOCKET_TIMEOUT, 0); }) {
    if (multi_ == nullptr) return;
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &OnSocket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &OnTimer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  }
  // REQUIRES: every transfer has been removed.
  ~Multi() {
    curl_multi_cleanup(multi_);
    while (!sockets_.empty()) Forget(sockets_.begin()->first);
  }
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  bool valid() const { return multi_ != nullptr; }
  bool Add(CURL* easy) {
    return curl_multi_add_handle(multi_, easy) == CURLM_OK;
  }
  void Remove(CURL* easy) { curl_multi_remove_handle(multi_, easy); }

 private:
  struct Socket final : io::Watcher {
    Socket(Multi* owner, int descriptor) : multi(owner), fd(descriptor) {}
    void OnEvents(uint32_t events) override {
      int what = 0;
      if ((events & (EPOLLIN | EPOLLHUP)) != 0) what |= CURL_CSELECT_IN;
      if ((events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
      if ((events & EPOLLERR) != 0) what |= CURL_CSELECT_ERR;
      multi->Act(fd, what);
    }
    Multi* multi;
    int fd;
  };

  static int OnSocket(CURL*, curl_socket_t fd, int what, void* self, void*) {
    static_cast<Multi*>(self)->Follow(fd, what);
    return 0;
  }
  static int OnTimer(CURLM*, long millis, void* self) {
    io::Timer& timer = static_cast<Multi*>(self)->timer_;
    if (millis < 0) {
      timer.Cancel();
    } else {
      timer.Set(absl::Milliseconds(millis));
    }
    return 0;
  }

  void Follow(int fd, int what) {
    if (what == CURL_POLL_REMOVE) return Forget(fd);
    uint32_t events = 0;
    if ((what & CURL_POLL_IN) != 0) events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0) events |= EPOLLOUT;
    std::shared_ptr<Socket>& socket = sockets_[fd];
    // What cannot be watched is noticed by the request's deadline.
    if (socket == nullptr) {
      socket = std::make_shared<Socket>(this, fd);
      (void)loop_.Add(fd, events, socket.get());
    } else {
      (void)loop_.Modify(fd, events, socket.get());
    }
  }

  void Forget(int fd) {
    const auto found = sockets_.find(fd);
    if (found == sockets_.end()) return;
    loop_.Remove(fd, found->second.get());
    // It may be the one that is calling us.
    loop_.Defer([socket = std::move(found->second)] {});
    sockets_.erase(found);
  }

  void Act(curl_socket_t fd, int what) {
    int running = 0;
    curl_multi_socket_action(multi_, fd, what, &running);
    const std::weak_ptr<bool> alive = alive_;
    int left = 0;
    while (!alive.expired()) {
      const CURLMsg* const message = curl_multi_info_read(multi_, &left);
      if (message == nullptr) return;
      if (message->msg != CURLMSG_DONE) continue;
      done_(message->easy_handle, message->data.result);
    }
  }

  io::Loop& loop_;
  const std::function<void(CURL*, CURLcode)> done_;
  CURLM* const multi_;
  io::Timer timer_;
  std::map<int, std::shared_ptr<Socket>> sockets_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// One request and its answer.
class HttpClient::Transfer {
 public:
  // `owned`: null, or `receiver`, which goes with this.
  Transfer(HttpClient* client, uint64_t id, Receiver* receiver,
           std::unique_ptr<Receiver> owned)
      : client_(client),
        id_(id),
        receiver_(receiver),
        owned_(std::move(owned)) {}
  ~Transfer() { Stop(); }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  base::Status Start(const Options& options, const Request& request);
  void Stop() {
    if (std::exchange(added_, false)) client_->multi_->Remove(easy_.get());
  }
  End EndOf(CURLcode code) const;
  uint64_t id() const { return id_; }
  // Ends the transfer, then tells the receiver.
  static void Finish(std::unique_ptr<Transfer> transfer, const End& end) {
    Receiver* const receiver = transfer->receiver_;
    const std::unique_ptr<Receiver> owned = std::move(transfer->owned_);
    transfer.reset();
    receiver->OnEnd(end);
  }
  static Transfer* Of(CURL* easy) {
    char* transfer = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    return reinterpret_cast<Transfer*>(transfer);
  }

 private:
  base::Status SetHeaders(const Options& options, const Request& request);
  int Status() const {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    return static_cast<int>(status);
  }
  static size_t OnHeader(char* data, size_t, size_t size, void* self) {
    auto* const transfer = static_cast<Transfer*>(self);
    transfer->client_->Heard();
    // The blank line that ends them; 1xx is not the answer yet.
    if (std::string_view(data, size) == "\r\n" && transfer->Status() >= 200) {
      transfer->receiver_->OnHead(transfer->Status());
    }
    return size;
  }
  static size_t OnData(char* data, size_t, size_t size, void* self) {
    auto* const transfer = static_cast<Transfer*>(self);
    transfer->client_->Heard();
    const bool more = transfer->receiver_->OnBody(transfer->Status(),
                                                  std::string_view(data, size));
    return more ? size : CURL_WRITEFUNC_ERROR;
  }

  HttpClient* const client_;
  const uint64_t id_;
  Receiver* const receiver_;
  std::unique_ptr<Receiver> owned_;
  base::Handle<CURL, curl_easy_cleanup> easy_{curl_easy_init()};
  Headers headers_;
  bool added_ = false;
  char reason_[CURL_ERROR_SIZE] = "";
};

base::Status HttpClient::Transfer::SetHeaders(const Options& options,
                                              const Request& request) {
  NODEWARD_ASSIGN(pki::File token, pki::ReadFile(options.token));
  std::string bearer =
      base::StrCat("Authorization: Bearer ", Trimmed(token.text));
  pki::Wipe(&token.text);
  bool listed =
      Add(&headers_, bearer) && Add(&headers_, "Accept: application/json");
  pki::Wipe(&bearer);
  if (!request.content_type.empty()) {
    listed = listed && Add(&headers_, base::StrCat("Content-Type: ",
                                                   request.content_type));
  }
  if (!listed) return absl::ResourceExhaustedError("prepare request: memory");
  return base::OkStatus();
}

base::Status HttpClient::Transfer::Start(const Options& options,
                                         const Request& request) {
  if (easy_ == nullptr) {
    return absl::ResourceExhaustedError("prepare request: memory");
  }
  NODEWARD_TRY(SetHeaders(options, request));
  CURL* const curl = easy_.get();
  const std::string url = base::StrCat(options.server, request.target);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(curl, CURLOPT_PIPEWAIT, 1L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_CAINFO, options.ca.c_str());
  curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, 0L);  // the file changes
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, Millis(request.deadline));
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, kKeepAliveSeconds);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, kKeepAliveEvery);
  curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, &SetSocketOptions);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers_.get());
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (!request.body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE,
                     static_cast<long>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, request.body.data());
  }
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &OnData);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason_);
  curl_easy_setopt(curl, CURLOPT_PRIVATE, this);
  added_ = client_->multi_->Add(curl);
  if (!added_) return absl::InternalError("start request: curl refuses it");
  return base::OkStatus();
}

HttpClient::End HttpClient::Transfer::EndOf(CURLcode code) const {
  End end;
  end.status = Status();
  curl_off_t seconds = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RETRY_AFTER, &seconds);
  end.retry_after = absl::Seconds(seconds);
  if (code != CURLE_OK) {
    end.transport = absl::UnavailableError(
        base::StrCat("ask ", client_->server(), ": ",
                     reason_[0] != '\0' ? reason_ : curl_easy_strerror(code)));
  }
  return end;
}

// Of an answer that is wanted as a whole.
class HttpClient::Collector final : public Receiver {
 public:
  explicit Collector(std::function<void(Answer)> done)
      : done_(std::move(done)) {}
  void OnHead(int) override {}
  bool OnBody(int, std::string_view bytes) override {
    if (body_.size() + bytes.size() > kMaxBody) return false;
    body_.append(bytes);
    return true;
  }
  void OnEnd(const End& end) override {
    done_({end.transport, end.status, std::move(body_)});
  }

 private:
  std::function<void(Answer)> done_;
  std::string body_;
};

base::StatusOr<std::unique_ptr<HttpClient>> HttpClient::Create(
    io::Loop& loop, Options options) {
  InitOnce();
  std::unique_ptr<HttpClient> client(new HttpClient(loop, std::move(options)));
  NODEWARD_TRY(client->Connect());
  return client;
}

HttpClient::HttpClient(io::Loop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      heard_(loop.now()),
      probe_(loop, [this] { Probe(); }) {}

HttpClient::~HttpClient() { transfers_.clear(); }

base::Status HttpClient::Connect() {
  multi_ = std::make_unique<Multi>(loop_, [this](CURL* easy, CURLcode code) {
    const Transfer* const transfer = Transfer::Of(easy);
    Finish(transfer->id(), transfer->EndOf(code));
  });
  if (!multi_->valid()) {
    return absl::ResourceExhaustedError("start an HTTP client: memory");
  }
  return base::OkStatus();
}

uint64_t HttpClient::Send(const Request& request, Receiver* receiver) {
  return Send(request, receiver, nullptr);
}

uint64_t HttpClient::Send(const Request& request, Receiver* receiver,
                          std::unique_ptr<Receiver> owned) {
  const uint64_t id = next_id_++;
  auto& transfer = transfers_[id];
  transfer = std::make_unique<Transfer>(this, id, receiver, std::move(owned));
  const base::Status started = transfer->Start(options_, request);
  if (!started.ok()) {
    loop_.Defer([this, id, started, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired())
        Finish(id, {.transport = started, .status = 0, .retry_after = {}});
    });
  }
  if (!probe_.pending()) {
    Heard();
    probe_.Set(options_.silence);
  }
  return id;
}

void HttpClient::Cancel(uint64_t id) { transfers_.erase(id); }

void HttpClient::Ask(const Request& request, std::function<void(Answer)> done) {
  auto collector = std::make_unique<Collector>(std::move(done));
  Receiver* const receiver = collector.get();
  Send(request, receiver, std::move(collector));
}

void HttpClient::Finish(uint64_t id, const End& end) {
  const auto found = transfers_.find(id);
  if (found == transfers_.end()) return;
  std::unique_ptr<Transfer> transfer = std::move(found->second);
  transfers_.erase(found);
  Transfer::Finish(std::move(transfer), end);
}

// ---- signs of life ----

void HttpClient::Heard() { heard_ = loop_.now(); }

void HttpClient::Probe() {
  if (transfers_.empty() || probing_) return;
  const absl::Duration silent = loop_.now() - heard_;
  if (silent < options_.silence) return probe_.Set(options_.silence - silent);
  probing_ = true;
  Ask({.target = "/version", .deadline = options_.patience},
      [this](const Answer& answer) {
        probing_ = false;
        if (answer.transport.ok() || transfers_.empty()) {
          if (!transfers_.empty()) probe_.Set(options_.silence);
          return;
        }
        loop_.Defer([this, alive = std::weak_ptr<bool>(alive_)] {
          if (!alive.expired()) Reset();
        });
      });
}

void HttpClient::Reset() {
  // Those that are under way now; what their receivers begin comes after.
  std::vector<uint64_t> lost;
  for (auto& [id, transfer] : transfers_) {
    transfer->Stop();
    lost.push_back(id);
  }
  multi_.reset();  // with all its connections
  base::Status why = Connect();
  if (why.ok()) {
    why = absl::UnavailableError(base::StrCat(
        "ask ", options_.server, ": the connection gave no sign of life"));
  }
  for (const uint64_t id : lost) {
    Finish(id, {.transport = why, .status = 0, .retry_after = {}});
  }
}

}  // namespace nodeward::kube
