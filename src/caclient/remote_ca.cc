// SPDX-License-Identifier: Apache-2.0
#include "caclient/remote_ca.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
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

// Of anything else gRPC would make no header, but end the program.
bool IsVisible(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c > 0x20 && c < 0x7f; });
}

// istiod tells its own log why it refuses, and us in these words.
std::string_view Remedy(std::string_view refusal) {
  if (refusal == "request impersonation authentication failure") {
    return " (istiod's log has the cause: its CA_TRUSTED_NODE_ACCOUNTS must "
           "have the agent's ServiceAccount, its CLUSTER_ID be our "
           "ca.clusterId, and it must know of a pod of that identity here)";
  }
  if (refusal == "request authenticate failure") {
    return " (istiod's log has the cause: the token must be one of this "
           "cluster, with istio-ca as its audience, and ca.clusterId istiod's "
           "CLUSTER_ID)";
  }
  return "";
}

bool IsSelfSigned(const pki::Certificate& certificate) {
  return certificate.Issuer() == certificate.Subject();
}

struct Call {
  std::unique_ptr<proto::IstioCertificateService::Stub> stub;
  grpc::ClientContext context;
  proto::IstioCertificateRequest request;
  proto::IstioCertificateResponse response;
  grpc::Status status;
  std::unique_ptr<
      grpc::ClientAsyncResponseReader<proto::IstioCertificateResponse>>
      reader;
  std::function<void(base::StatusOr<pki::Issued>)> done;
};

}  // namespace

// A queue and a thread of our own rather than gRPC's callbacks: those share a
// queue over the whole process, which gRPC 1.51 frees twice now and then when
// the last channel goes.
class RemoteCa::State {
 public:
  explicit State(Options options) : options_(std::move(options)) {
    if (options_.server_name.empty()) {
      options_.server_name = HostOf(options_.address);
    }
    thread_ = std::thread([this] { Run(); });
  }
  ~State();

  void Issue(const model::Identity& identity, std::string csr_pem,
             std::function<void(base::StatusOr<pki::Issued>)> done);
  std::string Description() const {
    return base::StrCat("CA at ", options_.address);
  }

 private:
  void Run();
  void Start(std::unique_ptr<Call> call);
  base::StatusOr<std::shared_ptr<grpc::Channel>> Channel();
  base::Status Authenticate(grpc::ClientContext* context) const;
  void Answered(std::unique_ptr<Call> call);
  base::Status Failure(const grpc::Status& status) const;

  Options options_;
  base::Mutex mutex_;
  std::string roots_ ABSL_GUARDED_BY(mutex_);  // of channel_
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mutex_);
  std::set<Call*> calls_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::CompletionQueue queue_;
  std::thread thread_;
};

RemoteCa::State::~State() {
  {
    base::MutexLock lock(&mutex_);
    ending_ = true;
    for (Call* call : calls_) call->context.TryCancel();
  }
  // What is cancelled still comes out of the queue before it is empty.
  queue_.Shutdown();
  thread_.join();
}

void RemoteCa::State::Run() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    Answered(std::unique_ptr<Call>(static_cast<Call*>(tag)));
  }
}

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
  if (!IsVisible(text)) {
    pki::Wipe(&token.text);
    return absl::FailedPreconditionError(base::StrCat(
        "read token ", options_.token,
        ": it has blanks or control characters; a token is one line of text"));
  }
  context->AddMetadata("authorization", base::StrCat("Bearer ", text));
  // As Istio's own agents name their cluster.
  if (!options_.cluster.empty()) {
    context->AddMetadata("clusterid", options_.cluster);
  }
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
  call->stub = proto::IstioCertificateService::NewStub(*channel);
  Start(std::move(call));
}

void RemoteCa::State::Start(std::unique_ptr<Call> call) {
  base::MutexLock lock(&mutex_);
  if (ending_) return;  // its owner is being destroyed, and listens no more
  Call* const raw = call.release();  // the queue's from here on
  calls_.insert(raw);
  raw->reader =
      raw->stub->AsyncCreateCertificate(&raw->context, raw->request, &queue_);
  raw->reader->Finish(&raw->response, &raw->status, raw);
}

void RemoteCa::State::Answered(std::unique_ptr<Call> call) {
  {
    base::MutexLock lock(&mutex_);
    calls_.erase(call.get());
  }
  if (!call->status.ok()) return call->done(Failure(call->status));
  const auto& chain = call->response.cert_chain();
  auto issued = ReadAnswer({chain.begin(), chain.end()});
  if (!issued.ok()) issued = base::Annotate(issued.status(), Description());
  call->done(std::move(issued));
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
                         ": ", message, Remedy(message)));
}

std::unique_ptr<RemoteCa> RemoteCa::Create(Options options) {
  return std::unique_ptr<RemoteCa>(
      new RemoteCa(std::make_unique<State>(std::move(options))));
}

RemoteCa::RemoteCa(std::unique_ptr<State> state) : state_(std::move(state)) {}

RemoteCa::~RemoteCa() = default;

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
