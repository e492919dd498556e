// SPDX-License-Identifier: Apache-2.0
#include "cni/https.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/time/clock.h"
#include "base/fd.h"
#include "base/handle.h"
#include "base/ip.h"
#include "base/text.h"

namespace nodeward::cni {
namespace {

using base::StrCat;

constexpr size_t kLargestAnswer = 4 << 20;
constexpr char kScheme[] = "https://";

base::Status SslStatus(std::string_view what) {
  char reason[256] = "unknown error";
  if (const unsigned long error = ERR_get_error(); error != 0) {
    ERR_error_string_n(error, reason, sizeof(reason));
  }
  ERR_clear_error();
  return absl::UnavailableError(StrCat(what, ": ", reason));
}

// One connection. Every step waits for the socket until the deadline.
class Connection {
 public:
  explicit Connection(absl::Time deadline) : deadline_(deadline) {}

  base::Status Open(const base::Endpoint& server, const std::string& roots);
  base::Status Send(std::string_view bytes);
  // All that comes until the server ends it.
  base::StatusOr<std::string> Receive();

 private:
  base::Status Connect(const base::Endpoint& server);
  base::Status Trust(const std::string& roots);
  base::Status Wait(short events);
  // What a call that returned `result` needs before it is tried again.
  base::Status Again(int result, std::string_view what);

  const absl::Time deadline_;
  base::Fd fd_;
  base::Handle<SSL_CTX, SSL_CTX_free> context_;
  base::Handle<SSL, SSL_free> ssl_;
};

base::Status Connection::Wait(short events) {
  for (;;) {
    const int64_t left = absl::ToInt64Milliseconds(deadline_ - absl::Now());
    pollfd one{fd_.get(), events, 0};
    const int ready = left <= 0 ? 0 : poll(&one, 1, static_cast<int>(left));
    if (ready > 0) return base::OkStatus();
    if (ready == 0) return absl::DeadlineExceededError("no answer in time");
    if (errno != EINTR) return base::ErrnoStatus(errno, "poll");
  }
}

base::Status Connection::Connect(const base::Endpoint& server) {
  sockaddr_storage address{};
  const socklen_t length = server.ToSockaddr(&address);
  fd_.Reset(
      socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_.valid()) return base::ErrnoStatus(errno, "open socket");
  if (connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), length) == 0) {
    return base::OkStatus();
  }
  if (errno != EINPROGRESS) return base::ErrnoStatus(errno, "connect");
  NODEWARD_TRY(Wait(POLLOUT));
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
    error = errno;
  }
  return error == 0 ? base::OkStatus() : base::ErrnoStatus(error, "connect");
}

base::Status Connection::Trust(const std::string& roots) {
  const base::Handle<BIO, BIO_free_all> bio(
      BIO_new_mem_buf(roots.data(), static_cast<int>(roots.size())));
  X509_STORE* const store = SSL_CTX_get_cert_store(context_.get());
  int count = 0;
  while (bio != nullptr) {
    const base::Handle<X509, X509_free> root(
        PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (root == nullptr) break;
    if (X509_STORE_add_cert(store, root.get()) == 1) ++count;
  }
  ERR_clear_error();  // the end of the text is one
  return count > 0 ? base::OkStatus()
                   : absl::InvalidArgumentError("it has no root certificate");
}

base::Status Connection::Again(int result, std::string_view what) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return base::Annotate(Wait(POLLIN), what);
    case SSL_ERROR_WANT_WRITE:
      return base::Annotate(Wait(POLLOUT), what);
    default:
      return SslStatus(what);
  }
}

base::Status Connection::Open(const base::Endpoint& server,
                              const std::string& roots) {
  NODEWARD_TRY(Connect(server));
  // The node's own configuration of OpenSSL may ask for modules that a static
  // program cannot load.
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (context_ == nullptr) return SslStatus("prepare TLS");
  SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
  // What is cut off is no whole JSON, whoever says goodbye or does not.
  SSL_CTX_set_options(context_.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
  NODEWARD_TRY(Trust(roots));
  ssl_.reset(SSL_new(context_.get()));
  const std::string name = server.address.ToString();
  if (ssl_ == nullptr ||
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), name.c_str()) !=
          1 ||
      SSL_set_fd(ssl_.get(), fd_.get()) != 1) {
    return SslStatus("prepare TLS");
  }
  for (;;) {
    const int done = SSL_connect(ssl_.get());
    if (done == 1) return base::OkStatus();
    const long verified = SSL_get_verify_result(ssl_.get());
    if (verified != X509_V_OK) {
      return absl::UnavailableError(
          StrCat("its certificate is refused: ",
                 X509_verify_cert_error_string(verified)));
    }
    NODEWARD_TRY(Again(done, "TLS handshake"));
  }
}

base::Status Connection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const int n =
        SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else {
      NODEWARD_TRY(Again(n, "send"));
    }
  }
  return base::OkStatus();
}

base::StatusOr<std::string> Connection::Receive() {
  std::string all;
  char buffer[16 * 1024];
  for (;;) {
    const int n = SSL_read(ssl_.get(), buffer, sizeof(buffer));
    if (n > 0) {
      all.append(buffer, static_cast<size_t>(n));
      if (all.size() > kLargestAnswer) {
        return absl::ResourceExhaustedError("the answer is too large");
      }
    } else if (SSL_get_error(ssl_.get(), n) == SSL_ERROR_ZERO_RETURN) {
      return all;
    } else {
      NODEWARD_TRY(Again(n, "receive"));
    }
  }
}

// "10.96.0.1:443" of "https://10.96.0.1:443"; the port may be missing.
base::StatusOr<base::Endpoint> ServerOf(const std::string& url) {
  if (!url.starts_with(kScheme)) {
    return absl::InvalidArgumentError("it is no https:// address");
  }
  std::string host = url.substr(sizeof(kScheme) - 1);
  if (host.ends_with('/')) host.pop_back();
  const bool bare = host.ends_with(']') || host.find(':') == std::string::npos;
  if (bare) host += ":443";
  auto server = base::Endpoint::Parse(host);
  if (server.ok()) return server;
  return absl::InvalidArgumentError(
      "it is named by no address, and the plugin resolves no names");
}

base::StatusOr<HttpAnswer> ReadAnswerText(std::string text) {
  const size_t head = text.find("\r\n\r\n");
  const size_t blank = text.find(' ');
  if (!text.starts_with("HTTP/1.") || head == std::string::npos ||
      blank + 4 > head) {
    return absl::UnavailableError("the answer is not HTTP");
  }
  HttpAnswer answer;
  for (size_t i = blank + 1; i < blank + 4; ++i) {
    if (text[i] < '0' || text[i] > '9') {
      return absl::UnavailableError("the answer is not HTTP");
    }
    answer.status = answer.status * 10 + (text[i] - '0');
  }
  answer.body = text.substr(head + 4);
  return answer;
}

base::StatusOr<HttpAnswer> Get(const Kubeconfig& config,
                               const std::string& target, absl::Time deadline) {
  NODEWARD_ASSIGN(const base::Endpoint server, ServerOf(config.server));
  Connection connection(deadline);
  NODEWARD_TRY(connection.Open(server, config.roots));
  // Of HTTP/1.0 the end of the connection is the end of the answer.
  NODEWARD_TRY(connection.Send(
      StrCat("GET ", target, " HTTP/1.0\r\nHost: ", server.ToString(),
             "\r\nAccept: application/json\r\nUser-Agent: nodeward-cni\r\n"
             "Authorization: Bearer ",
             config.token, "\r\n\r\n")));
  NODEWARD_ASSIGN(std::string text, connection.Receive());
  return ReadAnswerText(std::move(text));
}

}  // namespace

base::StatusOr<HttpAnswer> HttpsGet(const Kubeconfig& config,
                                    const std::string& target,
                                    absl::Duration patience) {
  auto answer = Get(config, target, absl::Now() + patience);
  if (answer.ok()) return answer;
  return base::Annotate(answer.status(),
                        StrCat("ask the API server ", config.server));
}

}  // namespace nodeward::cni
