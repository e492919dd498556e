// SPDX-License-Identifier: Apache-2.0
//
// curl speaks TLS (and to proxies); of a WebSocket's bytes Debian's knows
// nothing, so they are ours (web_socket.h).
#include "kube/user_client.h"

#include <curl/curl.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "absl/time/clock.h"
#include "base/handle.h"
#include "base/text.h"
#include "kube/web_socket.h"
#include "pki/key.h"

namespace nodeward::kube {
namespace {

constexpr size_t kMaxBody = 64 << 20;
constexpr long kConnectMs = 10'000;
constexpr absl::Duration kLastWords = absl::Seconds(2);

void InitOnce() {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)kReady;
}

curl_blob BlobOf(const std::string& text) {
  // Copied by curl.
  return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
}

long Millis(absl::Duration duration) {
  return static_cast<long>(
      std::max<int64_t>(absl::ToInt64Milliseconds(duration), 1));
}

// Keeps a write to a closed connection from ending the process: curl itself
// does only where it may touch signals, which with threads it may not.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec now{};
    sigtimedwait(&pipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
};

// "https://10.0.0.1:6443/prefix" in its parts.
struct Url {
  std::string host, port, path;
};

Url SplitUrl(const std::string& server) {
  constexpr size_t kScheme = std::string_view("https://").size();
  Url url;
  const size_t slash = std::min(server.find('/', kScheme), server.size());
  std::string authority = server.substr(kScheme, slash - kScheme);
  url.path = server.substr(slash);
  const size_t colon = authority.rfind(':');
  const size_t bracket = authority.rfind(']');
  const bool has_port = colon != std::string::npos &&
                        (bracket == std::string::npos || colon > bracket);
  url.port = has_port ? authority.substr(colon + 1) : "443";
  url.host = has_port ? authority.substr(0, colon) : authority;
  return url;
}

}  // namespace

// One connection, or one request.
class UserClient::Connection {
 public:
  explicit Connection(const ClusterAccess& access, absl::Duration deadline)
      : access_(access),
        url_(SplitUrl(access.server)),
        until_(absl::Now() + deadline) {}
  ~Connection() {
    curl_slist_free_all(headers_);
    curl_slist_free_all(connect_to_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  base::StatusOr<Answer> Get(const std::string& target);
  base::Status Open();
  // Sends all that `socket` has to send, and gives it what comes, until it is
  // closed or `done`.
  base::Status Talk(WebSocket* socket, RemoteCommand* command);
  std::string host() const { return url_.host + ":" + url_.port; }
  std::string path() const { return url_.path; }

 private:
  base::Status Prepare(const std::string& target);
  base::Status Failed(CURLcode code) const;
  base::Status SendAll(std::string_view bytes);
  base::Status Wait(short events);

  const ClusterAccess& access_;
  const Url url_;
  absl::Time until_;
  base::Handle<CURL, curl_easy_cleanup> easy_{curl_easy_init()};
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  char reason_[CURL_ERROR_SIZE] = "";
};

base::Status UserClient::Connection::Failed(CURLcode code) const {
  return absl::UnavailableError(
      base::StrCat("ask ", access_.server, ": ",
                   reason_[0] != '\0' ? reason_ : curl_easy_strerror(code)));
}

base::Status UserClient::Connection::Prepare(const std::string& target) {
  CURL* const curl = easy_.get();
  if (curl == nullptr) {
    return absl::ResourceExhaustedError("prepare request: memory");
  }
  std::string url = access_.server + target;
  if (!access_.server_name.empty()) {
    // The certificate is another name's than where it is to be found.
    url = base::StrCat("https://", access_.server_name, ":", url_.port,
                       url_.path, target);
    const std::string to = base::StrCat("::", url_.host, ":", url_.port);
    connect_to_ = curl_slist_append(nullptr, to.c_str());
    curl_easy_setopt(curl, CURLOPT_CONNECT_TO, connect_to_);
  }
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, Millis(until_ - absl::Now()));
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason_);
  if (!access_.proxy.empty()) {
    curl_easy_setopt(curl, CURLOPT_PROXY, access_.proxy.c_str());
  }
  if (access_.insecure) {
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!access_.roots.empty()) {
    curl_blob roots = BlobOf(access_.roots);
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &roots);
    curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  }
  if (!access_.certificate.empty()) {
    curl_blob certificate = BlobOf(access_.certificate);
    curl_blob key = BlobOf(access_.key);
    curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, &key);
  }
  return base::OkStatus();
}

base::StatusOr<UserClient::Answer> UserClient::Connection::Get(
    const std::string& target) {
  NODEWARD_TRY(Prepare(target));
  CURL* const curl = easy_.get();
  headers_ = curl_slist_append(nullptr, "Accept: application/json");
  if (!access_.token.empty()) {
    std::string bearer = "Authorization: Bearer " + access_.token;
    headers_ = curl_slist_append(headers_, bearer.c_str());
    pki::Wipe(&bearer);
  }
  Answer answer;
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers_);
  curl_easy_setopt(
      curl, CURLOPT_WRITEFUNCTION,
      +[](char* data, size_t, size_t size, void* to) -> size_t {
        auto& body = *static_cast<std::string*>(to);
        if (body.size() + size > kMaxBody) return CURL_WRITEFUNC_ERROR;
        body.append(data, size);
        return size;
      });
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return Failed(code);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  return answer;
}

base::Status UserClient::Connection::Open() {
  NODEWARD_TRY(Prepare("/"));
  curl_easy_setopt(easy_.get(), CURLOPT_CONNECT_ONLY, 1L);
  const CURLcode code = curl_easy_perform(easy_.get());
  return code == CURLE_OK ? base::OkStatus() : Failed(code);
}

base::Status UserClient::Connection::Wait(short events) {
  curl_socket_t socket = CURL_SOCKET_BAD;
  curl_easy_getinfo(easy_.get(), CURLINFO_ACTIVESOCKET, &socket);
  const absl::Duration left = until_ - absl::Now();
  pollfd descriptor{socket, events, 0};
  if (left > absl::ZeroDuration() &&
      poll(&descriptor, 1, static_cast<int>(Millis(left))) != 0) {
    return base::OkStatus();
  }
  return absl::DeadlineExceededError(
      base::StrCat("ask ", access_.server, ": no answer in time"));
}

base::Status UserClient::Connection::SendAll(std::string_view bytes) {
  while (!bytes.empty()) {
    size_t sent = 0;
    const CURLcode code =
        curl_easy_send(easy_.get(), bytes.data(), bytes.size(), &sent);
    if (code == CURLE_AGAIN) {
      NODEWARD_TRY(Wait(POLLOUT));
      continue;
    }
    if (code != CURLE_OK) return Failed(code);
    bytes.remove_prefix(sent);
  }
  return base::OkStatus();
}

base::Status UserClient::Connection::Talk(WebSocket* socket,
                                          RemoteCommand* command) {
  const auto take = [&](std::string_view message) { command->Take(message); };
  std::array<char, 16384> room;
  while (true) {
    std::string output = socket->TakeOutput();  // has the token, once
    const base::Status sent = SendAll(output);
    pki::Wipe(&output);
    NODEWARD_TRY(sent);
    if (socket->closed()) return base::OkStatus();
    // How it ended may overtake what it said last; then the server closes.
    if (command->ended()) until_ = std::min(until_, absl::Now() + kLastWords);
    size_t got = 0;
    const CURLcode code =
        curl_easy_recv(easy_.get(), room.data(), room.size(), &got);
    base::Status status;
    if (code == CURLE_AGAIN) {
      status = Wait(POLLIN);
    } else if (code != CURLE_OK || got == 0) {
      return command->ended() ? base::OkStatus() : socket->Finish();
    } else {
      status = socket->Feed(std::string_view(room.data(), got), take);
    }
    if (!status.ok()) return command->ended() ? base::OkStatus() : status;
  }
}

UserClient::UserClient(ClusterAccess access) : access_(std::move(access)) {
  InitOnce();
}

base::StatusOr<UserClient::Answer> UserClient::Get(
    const std::string& target, absl::Duration deadline) const {
  const WithoutSigpipe without;
  return Connection(access_, deadline).Get(target);
}

base::StatusOr<RemoteCommand::Result> UserClient::Run(
    const RemoteCommand::Place& place, const std::vector<std::string>& words,
    absl::Duration deadline) const {
  const WithoutSigpipe without;
  Connection connection(access_, deadline);
  NODEWARD_TRY(connection.Open());
  std::random_device random;
  WebSocket::Opening opening{
      .host = connection.host(),
      .target = connection.path() + RemoteCommand::Target(place, words),
      .headers = {},
      .protocols = RemoteCommand::Protocols(),
      .nonce = {},
      .random = [&random] { return random(); }};
  if (!access_.token.empty()) {
    opening.headers.push_back("Authorization: Bearer " + access_.token);
  }
  for (uint8_t& byte : opening.nonce) byte = static_cast<uint8_t>(random());
  WebSocket socket(opening);
  for (std::string& header : opening.headers) pki::Wipe(&header);
  RemoteCommand command;
  NODEWARD_TRY(connection.Talk(&socket, &command));
  return std::move(command).Finish();
}

}  // namespace nodeward::kube
