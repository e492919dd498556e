// SPDX-License-Identifier: Apache-2.0
#include "caclient/remote_ca.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <set>
#include <utility>

#include "base/mutex.h"
#include "base/text.h"
#include "nodeward/proto/ca.grpc.pb.h"
#include "pki/file.h"
#include "pki/key.h"

namespace nodeward::caclient {
namespace {

namespace proto = istio::v1::auth;

constexpr int kMaxAnswer = 256 * 1024;
constexpr size_t kMaxMessage = 300;
constexpr int kFirstReconnectMs = 200;
constexpr int kLastReconnectMs = 5000;

// "ca.example" of "ca.example:15012", "fd00::1" of "[fd00::1]:15012".
std::string HostOf(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return host;
}

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool IsSelfSigned(const pki::Certificate& certificate) {
  return certificate.Issuer() == certificate.Subject();
}

struct Call {
  grpc::ClientContext context;
  proto::IstioCertificateRequest request;
  proto::IstioCertificateResponse response;
  std::function<void(base::StatusOr<pki::Issued>)> done;
};

}  // namespace

class RemoteCa::State : public std::enable_shared_from_this<State> {
 public:
  explicit State(Options options) : options_(std::move(options)) {
    if (options_.server_name.empty()) {
      options_.server_name = HostOf(options_.address);
    }
  }

  void Issue(const model::Identity& identity, std::string csr_pem,
             std::function<void(base::StatusOr<pki::Issued>)> done);
  void CancelAll();
  std::string Description() const {
    return base::StrCat("CA at ", options_.address);
  }

 private:
  base::StatusOr<std::shared_ptr<grpc::Channel>> Channel();
  base::Status Authenticate(grpc::ClientContext* context) const;
  void Answered(Call* call, const grpc::Status& status);
  base::Status Failure(const grpc::Status& status) const;

  Options options_;
  base::Mutex mutex_;
  std::string roots_ ABSL_GUARDED_BY(mutex_);  // of channel_
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mutex_);
  std::set<Call*> calls_ ABSL_GUARDED_BY(mutex_);
};

// A new one when the roots have changed: gRPC takes them once.
base::StatusOr<std::shared_ptr<grpc::Channel>> RemoteCa::State::Channel() {
  NODEWARD_ASSIGN(pki::File roots, pki::ReadFile(options_.roots));
  base::MutexLock lock(&mutex_);
  if (channel_ != nullptr && roots_ == roots.text) return channel_;
  // gRPC says only much later, and in riddles, what is wrong with them.
  const auto parsed = pki::Certificate::ParsePemBundle(roots.text);
  if (!parsed.ok()) return base::Annotate(parsed.status(), options_.roots);
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = roots.text;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(options_.server_name);
  arguments.SetMaxReceiveMessageSize(kMaxAnswer);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  // Channels of the same arguments share connections otherwise, and with them
  // the roots that they were verified against.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // The CA is no matter of whatever proxy the environment names.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  channel_ = grpc::CreateCustomChannel(options_.address,
                                       grpc::SslCredentials(tls), arguments);
  roots_ = std::move(roots.text);
  return channel_;
}

base::Status RemoteCa::State::Authenticate(grpc::ClientContext* context) const {
  NODEWARD_ASSIGN(pki::File token, pki::ReadFile(options_.token));
  const std::string_view text = Trimmed(token.text);
  if (text.empty()) {
    return absl::FailedPreconditionError(
        base::StrCat("read token ", options_.token, ": it is empty"));
  }
  context->AddMetadata("authorization", base::StrCat("Bearer ", text));
  pki::Wipe(&token.text);
  return base::OkStatus();
}

void RemoteCa::State::Issue(
    const model::Identity& identity, std::string csr_pem,
    std::function<void(base::StatusOr<pki::Issued>)> done) {
  auto call = std::make_unique<Call>();
  const base::Status shown = Authenticate(&call->context);
  if (!shown.ok()) return done(base::Annotate(shown, Description()));
  const auto channel = Channel();
  if (!channel.ok()) {
    return done(base::Annotate(channel.status(), Description()));
  }
  call->request.set_csr(std::move(csr_pem));
  call->request.set_validity_duration(absl::ToInt64Seconds(options_.lifetime));
  (*call->request.mutable_metadata()->mutable_fields())["ImpersonatedIdentity"]
      .set_string_value(identity.ToSpiffe());
  call->context.set_deadline(std::chrono::system_clock::now() +
                             absl::ToChronoMilliseconds(options_.timeout));
  call->done = std::move(done);
  Call* const raw = call.release();  // Answered's from here on
  {
    base::MutexLock lock(&mutex_);
    calls_.insert(raw);
  }
  proto::IstioCertificateService::NewStub(*channel)->async()->CreateCertificate(
      &raw->context, &raw->request, &raw->response,
      [self = shared_from_this(), raw](const grpc::Status& status) {
        self->Answered(raw, status);
      });
}

void RemoteCa::State::Answered(Call* raw, const grpc::Status& status) {
  const std::unique_ptr<Call> call(raw);
  if (status.ok()) {
    const auto& chain = call->response.cert_chain();
    auto issued = ReadAnswer({chain.begin(), chain.end()});
    if (!issued.ok()) issued = base::Annotate(issued.status(), Description());
    call->done(std::move(issued));
  } else {
    call->done(Failure(status));
  }
  base::MutexLock lock(&mutex_);
  calls_.erase(raw);
}

base::Status RemoteCa::State::Failure(const grpc::Status& status) const {
  std::string message = status.error_message().substr(0, kMaxMessage);
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  // gRPC's codes are abseil's.
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  return absl::Status(
      code, base::StrCat(Description(), ": ", absl::StatusCodeToString(code),
                         ": ", message));
}

void RemoteCa::State::CancelAll() {
  base::MutexLock lock(&mutex_);
  for (Call* call : calls_) call->context.TryCancel();
  const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return calls_.empty();
  };
  mutex_.Await(absl::Condition(&none));
}

std::unique_ptr<RemoteCa> RemoteCa::Create(Options options) {
  return std::unique_ptr<RemoteCa>(
      new RemoteCa(std::make_shared<State>(std::move(options))));
}

RemoteCa::RemoteCa(std::shared_ptr<State> state) : state_(std::move(state)) {}

RemoteCa::~RemoteCa() { state_->CancelAll(); }

void RemoteCa::Issue(const model::Identity& identity, std::string csr_pem,
                     std::function<void(base::StatusOr<pki::Issued>)> done) {
  state_->Issue(identity, std::move(csr_pem), std::move(done));
}

std::string RemoteCa::Description() const { return state_->Description(); }

base::StatusOr<pki::Issued> ReadAnswer(const std::vector<std::string>& parts) {
  if (parts.empty()) {
    return absl::InvalidArgumentError("read the CA's answer: it is empty");
  }
  pki::Issued issued;
  for (size_t i = 0; i < parts.size(); ++i) {
    auto certificates = pki::Certificate::ParsePemBundle(parts[i]);
    if (!certificates.ok()) {
      return base::Annotate(
          certificates.status(),
          base::StrCat("read part ", i + 1, " of the CA's answer"));
    }
    const bool roots = parts.size() > 1 && i + 1 == parts.size();
    for (pki::Certificate& each : *certificates) {
      if (roots ||
          (parts.size() == 1 && !issued.chain.empty() && IsSelfSigned(each))) {
        issued.roots.push_back(std::move(each));
      } else if (issued.chain.empty() || !IsSelfSigned(each)) {
        issued.chain.push_back(std::move(each));
      }
    }
  }
  if (issued.chain.empty() || issued.roots.empty()) {
    return absl::InvalidArgumentError(
        "read the CA's answer: a certificate and a root are needed");
  }
  return issued;
}

}  // namespace nodeward::caclient
