// SPDX-License-Identifier: Apache-2.0
#include "tls/session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/ip.h"
#include "base/text.h"
#include "pki/openssl_error.h"
#include "tls/byte_queue.h"

namespace nodeward::tls {
namespace {

constexpr size_t kFullRecord = 16 * 1024;
// Unsent answers to what the peer sent. OpenSSL answers every KeyUpdate that
// asks for one; a peer that asks for ever and reads nothing is stopped here.
constexpr size_t kMaxReplies = 16 * 1024;

// The alerts by which a server refuses a client's certificate.
bool IsAboutCertificate(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

std::string AlertName(int alert) {
  // Not known to OpenSSL 3.0's table.
  if (alert == SSL_AD_CERTIFICATE_REQUIRED) return "certificate required";
  if (alert == SSL_AD_NO_APPLICATION_PROTOCOL) {
    return "no application protocol";
  }
  return SSL_alert_desc_string_long(alert);
}

}  // namespace

struct Session::Wire {
  static const BIO_METHOD* Method();
  static int ReadBio(BIO* bio, char* out, int size);
  static int WriteBio(BIO* bio, const char* data, int size);
  static long ControlBio(BIO* bio, int command, long number, void* pointer);

  ByteQueue retained;  // read before `borrowed`
  base::ByteSpan borrowed;
  ByteQueue output;
};

const BIO_METHOD* Session::Wire::Method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "session");
    BIO_meth_set_read(made, ReadBio);
    BIO_meth_set_write(made, WriteBio);
    BIO_meth_set_ctrl(made, ControlBio);
    return made;
  }();
  return method;
}

int Session::Wire::ReadBio(BIO* bio, char* out, int size) {
  auto* wire = static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const bool retained = !wire->retained.empty();
  const base::ByteSpan from =
      retained ? wire->retained.bytes() : wire->borrowed;
  if (from.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const size_t count = std::min(from.size(), static_cast<size_t>(size));
  std::memcpy(out, from.data(), count);
  if (retained) {
    wire->retained.Drop(count);
  } else {
    wire->borrowed = wire->borrowed.subspan(count);
  }
  return static_cast<int>(count);
}

int Session::Wire::WriteBio(BIO* bio, const char* data, int size) {
  auto* wire = static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  wire->output.Append(base::AsBytes({data, static_cast<size_t>(size)}));
  return size;
}

long Session::Wire::ControlBio(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

base::StatusOr<std::unique_ptr<Session>> Session::Create(
    std::shared_ptr<const Context> context,
    std::vector<model::Identity> expected) {
  const bool client = context->role() == Role::kClient;
  const bool originating = context->material() != nullptr;
  if (client && expected.empty() && !originating) {
    return absl::FailedPreconditionError(
        "make TLS session: a client must know whom it expects");
  }
  std::unique_ptr<Session> session(
      new Session(std::move(context), std::move(expected)));
  session->ssl_ = SSL_new(session->context_->native());
  BIO* bio = BIO_new(Wire::Method());
  if (session->ssl_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    return pki::OpenSslStatus("make TLS session");
  }
  BIO_set_data(bio, session->wire_.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(session->ssl_, bio, bio);
  session->check_.Attach(session->ssl_);
  if (originating) NODEWARD_TRY(session->SendServerName());
  if (client) {
    SSL_set_connect_state(session->ssl_);
  } else {
    SSL_set_accept_state(session->ssl_);
  }
  return session;
}

base::Status Session::SendServerName() {
  const std::string& name = context_->origin().server.sni;
  // RFC 6066 3: no addresses.
  if (name.empty() || base::IpAddress::Parse(name).ok()) {
    return base::OkStatus();
  }
  if (SSL_set_tlsext_host_name(ssl_, name.c_str()) != 1) {
    return pki::OpenSslStatus("set server name");
  }
  return base::OkStatus();
}

Session::Session(std::shared_ptr<const Context> context,
                 std::vector<model::Identity> expected)
    : context_(std::move(context)),
      check_(*context_, std::move(expected)),
      wire_(std::make_unique<Wire>()) {}

Session::~Session() { SSL_free(ssl_); }

void Session::Feed(base::ByteSpan ciphertext) {
  // Nobody will read it: it must not pile up either.
  if (finished_.has_value()) return;
  Retain();
  wire_->borrowed = ciphertext;
}

void Session::Retain() {
  wire_->retained.Append(wire_->borrowed);
  wire_->borrowed = {};
}

bool Session::has_input() const {
  if (finished_.has_value()) return false;
  return !wire_->retained.empty() || !wire_->borrowed.empty() ||
         SSL_pending(ssl_) > 0;
}

Step Session::Handshake() {
  if (finished_ == Step::kFailed) return Step::kFailed;
  if (established_) return Step::kDone;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) {
    const Step step = StepOf(result, "TLS handshake");
    if (step != Step::kClosed) return step;
    error_ = absl::UnavailableError(
        "TLS handshake: the peer closed before it was complete");
    return Finish(Step::kFailed);
  }
  established_ = true;
  return Step::kDone;
}

Step Session::Read(base::MutableByteSpan out, size_t* count) {
  *count = 0;
  if (finished_.has_value()) return *finished_;
  if (!established_) {
    const Step step = Handshake();
    if (step != Step::kDone) return step;
  }
  Step step = Step::kDone;
  size_t total = 0;
  const size_t output_before = wire_->output.size();
  while (total < out.size()) {
    size_t size = 0;
    ERR_clear_error();
    const int result =
        SSL_read_ex(ssl_, out.data() + total, out.size() - total, &size);
    if (result != 1) {
      step = StepOf(result, "read TLS record");
      break;
    }
    total += size;
  }
  CheckReplies(output_before);
  if (total > 0) {
    read_any_ = true;
    *count = total;
    return Step::kDone;
  }
  return finished_.value_or(step);
}

void Session::CheckReplies(size_t output_before) {
  replies_ += wire_->output.size() - output_before;
  if (replies_ <= kMaxReplies || finished_.has_value()) return;
  error_ = absl::ResourceExhaustedError(
      "read TLS record: the peer asks for key updates without reading them");
  Finish(Step::kFailed);
}

base::Status Session::Write(base::ByteSpan plaintext) {
  if (plaintext.empty()) return base::OkStatus();
  if (finished_ == Step::kFailed) {
    return base::Annotate(error_, "write to a failed TLS session");
  }
  NODEWARD_TRY(ChangeKeyWhenDue(plaintext.size()));
  size_t written = 0;
  ERR_clear_error();
  if (SSL_write_ex(ssl_, plaintext.data(), plaintext.size(), &written) != 1 ||
      written != plaintext.size()) {
    return pki::OpenSslStatus("write TLS record");
  }
  return base::OkStatus();
}

base::Status Session::ChangeKeyWhenDue(size_t bytes) {
  records_ += bytes / kFullRecord + 1;
  if (records_ < context_->options().records_per_key) return base::OkStatus();
  records_ = 0;
  if (SSL_version(ssl_) < TLS1_3_VERSION) return base::OkStatus();
  // Sent in front of the next record; OpenSSL never does it by itself.
  if (SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
    return pki::OpenSslStatus("change TLS key");
  }
  return base::OkStatus();
}

void Session::Close() {
  if (!established_ || finished_ == Step::kFailed) return;
  if ((SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) != 0) return;
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

base::ByteSpan Session::output() const { return wire_->output.bytes(); }

void Session::DropOutput(size_t count) {
  wire_->output.Drop(count);
  if (wire_->output.empty()) replies_ = 0;
}

void Session::Shrink() {
  wire_->output.Release();
  wire_->retained.Release();
  // Refuses by itself while a record is half read.
  SSL_free_buffers(ssl_);
}

std::string Session::PeerCertificateHash() const {
  const std::optional<pki::Certificate> leaf = PeerCertificate();
  return leaf.has_value() ? leaf->Sha256Hex() : "";
}

std::optional<pki::Certificate> Session::PeerCertificate() const {
  if (!established_) return std::nullopt;
  X509* leaf = SSL_get0_peer_certificate(ssl_);
  if (leaf == nullptr) return std::nullopt;
  return pki::Certificate::FromNative(leaf);
}

base::Status Session::CheckPeerAgain(const pki::PeerVerifier& verifier) const {
  X509* leaf = SSL_get0_peer_certificate(ssl_);
  if (leaf == nullptr)
    return absl::InternalError("the peer has no certificate");
  return verifier.CheckAgain({.leaf = leaf,
                              .others = SSL_get_peer_cert_chain(ssl_),
                              .by_client = context_->role() == Role::kServer});
}

std::string Session::alpn() const {
  const unsigned char* data = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_, &data, &size);
  return std::string(base::AsText({data, size}));
}

Step Session::Finish(Step step) {
  finished_ = step;
  wire_->borrowed = {};
  wire_->retained.Drop(wire_->retained.size());
  return step;
}

Step Session::StepOf(int result, std::string_view doing) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return Step::kWantInput;
    case SSL_ERROR_ZERO_RETURN:
      return Finish(Step::kClosed);
    default:
      error_ = FailureOf(doing);
      return Finish(Step::kFailed);
  }
}

base::Status Session::FailureOf(std::string_view doing) {
  if (!check_.error().ok()) {
    ERR_clear_error();
    return check_.error();
  }
  const unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
    const int reason = ERR_GET_REASON(error);
    // Greater ones are general reasons, such as ERR_R_INTERNAL_ERROR.
    if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
      ERR_clear_error();
      return AlertError(reason - SSL_AD_REASON_OFFSET);
    }
    if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
      ERR_clear_error();
      return absl::UnauthenticatedError(
          "verify peer certificate: the peer sent none");
    }
  }
  return pki::OpenSslStatus(doing, absl::StatusCode::kInvalidArgument);
}

base::Status Session::AlertError(int alert) {
  const std::string name = AlertName(alert);
  const bool client = context_->role() == Role::kClient;
  if (context_->material() != nullptr && IsAboutCertificate(alert)) {
    return absl::PermissionDeniedError(base::StrCat(
        "TLS handshake: the server refused ",
        context_->material()->key() == nullptr
            ? "a client without certificate"
            : base::StrCat("our client certificate \"",
                           context_->material()->chain().front().Subject(),
                           "\""),
        " (alert: ", name, ")"));
  }
  if (client && !read_any_ && IsAboutCertificate(alert)) {
    return absl::PermissionDeniedError(base::StrCat(
        "TLS handshake: the peer refused our certificate ",
        context_->credential().identity.ToSpiffe(), " (alert: ", name, ")"));
  }
  if (IsAboutCertificate(alert)) {
    return absl::PermissionDeniedError(base::StrCat(
        "TLS handshake: the peer refused our certificate (alert: ", name, ")"));
  }
  return absl::UnavailableError(
      base::StrCat("TLS: the peer gave up (alert: ", name, ")"));
}

}  // namespace nodeward::tls
