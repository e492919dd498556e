// SPDX-License-Identifier: Apache-2.0
#include "ca/server.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "nodeward/proto/ca.grpc.pb.h"
#include "pki/key.h"

namespace nodeward::ca {
namespace {

constexpr char kServiceName[] = "istio.v1.auth.IstioCertificateService";
constexpr char kImpersonated[] = "ImpersonatedIdentity";
constexpr std::string_view kBearer = "Bearer ";
constexpr int kMaxRequest = 256 * 1024;
constexpr int kMaxMetadata = 32 * 1024;  // a token is some 1 to 2 KB
constexpr int kMaxStreams = 128;
constexpr absl::Duration kHandshakeDeadline = absl::Seconds(10);
// So that clients spread again over replicas that come and go.
constexpr absl::Duration kMaxConnectionAge = absl::Minutes(30);
constexpr absl::Duration kAgeGrace = absl::Seconds(30);
constexpr absl::Duration kMaxIdle = absl::Minutes(15);

int Millis(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// gRPC 1.51 has credentials that ask for their certificate at each handshake in
// its C interface alone.
class FreshCredentials final : public grpc::ServerCredentials {
 public:
  explicit FreshCredentials(const ServingCertificate* certificate)
      : certificate_(certificate),
        native_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, &Fetch, this))) {}
  ~FreshCredentials() override { grpc_server_credentials_release(native_); }

  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  // gRPC calls it under a lock of the port's, one port a FreshCredentials.
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    auto* const credentials = static_cast<FreshCredentials*>(self);
    auto pem = credentials->certificate_->NewerThan(credentials->generation_);
    if (!pem.has_value()) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair{pem->key.c_str(), pem->chain.c_str()};
    // It asserts that there are roots, also where no client is verified.
    *config =
        grpc_ssl_server_certificate_config_create(pem->roots.c_str(), &pair, 1);
    pki::Wipe(&pem->key);
    credentials->generation_ = pem->generation;
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }
  int AddPortToServer(const std::string& address,
                      grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), native_);
  }

  const ServingCertificate* const certificate_;
  uint64_t generation_ = 0;
  grpc_server_credentials* const native_;
};

// Strangers can have gRPC log errors as often as they like; what it says before
// it ends the process counts.
void LogFromGrpc(gpr_log_func_args* args) {
  if (args->severity != GPR_LOG_SEVERITY_ERROR) return;
  const std::string_view message = args->message;
  base::Log(message.starts_with("assertion failed") ? base::LogLevel::kError
                                                    : base::LogLevel::kDebug,
            "grpc", {{"what", std::string(message)}});
}

grpc::Status ToGrpc(const base::Status& status) {
  // The codes are the same numbers.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

// RFC 6750; the scheme has no case (RFC 7235 2.1).
std::optional<std::string> TokenOf(const grpc::ServerContext& context) {
  const auto [first, last] =
      context.client_metadata().equal_range("authorization");
  if (first == last || std::next(first) != last) return std::nullopt;
  const std::string_view value(first->second.data(), first->second.size());
  if (value.size() < kBearer.size()) return std::nullopt;
  for (size_t i = 0; i < kBearer.size(); ++i) {
    const char c = value[i];
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    const char want = kBearer[i] == 'B' ? 'b' : kBearer[i];
    if (lower != want) return std::nullopt;
  }
  return std::string(value.substr(kBearer.size()));
}

class Handler final : public istio::v1::auth::IstioCertificateService::Service {
 public:
  explicit Handler(ca::Service* service) : service_(service) {}

  grpc::Status CreateCertificate(
      grpc::ServerContext* context,
      const istio::v1::auth::IstioCertificateRequest* asked,
      istio::v1::auth::IstioCertificateResponse* answer) override {
    Request request;
    request.csr = asked->csr();
    if (asked->validity_duration() < 0) {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              "validity_duration is negative"};
    }
    request.lifetime = absl::Seconds(asked->validity_duration());
    const auto& fields = asked->metadata().fields();
    const auto impersonated = fields.find(kImpersonated);
    if (impersonated != fields.end()) {
      request.impersonated = impersonated->second.string_value();
      // Not the same as not to have said it: that would be answered.
      if (request.impersonated.empty()) {
        return {grpc::StatusCode::INVALID_ARGUMENT,
                "ImpersonatedIdentity is not a string, or empty"};
      }
    }
    request.token = TokenOf(*context);
    request.peer = AddressOfPeer(context->peer());
    const auto chain = service_->Create(request);
    if (!chain.ok()) return ToGrpc(chain.status());
    for (const std::string& pem : *chain) answer->add_cert_chain(pem);
    return grpc::Status::OK;
  }

 private:
  ca::Service* const service_;
};

}  // namespace

class Server::Impl {
 public:
  Impl(ca::Service* service, const ServingCertificate* certificate)
      : credentials(std::make_shared<FreshCredentials>(certificate)),
        handler(service) {}

  // The server keeps only what is inside of them, which calls back here.
  const std::shared_ptr<FreshCredentials> credentials;
  Handler handler;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
};

base::StatusOr<std::unique_ptr<Server>> Server::Start(
    const Options& options, ca::Service* service,
    const ServingCertificate* certificate) {
  gpr_set_log_function(&LogFromGrpc);
  grpc::EnableDefaultHealthCheckService(true);
  auto impl = std::make_unique<Impl>(service, certificate);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.listen.ToString(), impl->credentials,
                           &impl->port);
  builder.RegisterService(&impl->handler);
  builder.SetMaxReceiveMessageSize(kMaxRequest);
  grpc::ResourceQuota quota("ca");
  quota.SetMaxThreads(options.max_threads);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadata);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             Millis(kHandshakeDeadline));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             Millis(kMaxConnectionAge));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                             Millis(kAgeGrace));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Millis(kMaxIdle));
  // Else a second one on the port would get half of the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || impl->port == 0) {
    return absl::UnavailableError(
        base::StrCat("listen on ", options.listen.ToString(),
                     ": not possible (is the port in use, is the address this "
                     "machine's?)"));
  }
  std::unique_ptr<Server> made(new Server(std::move(impl)));
  made->SetServing(false);
  return made;
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  if (impl_->server != nullptr) Drain(absl::ZeroDuration());
}

void Server::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* const health =
      impl_->server->GetHealthCheckService();
  health->SetServingStatus(serving);
  health->SetServingStatus(kServiceName, serving);
}

uint16_t Server::port() const { return static_cast<uint16_t>(impl_->port); }

void Server::Drain(absl::Duration deadline) {
  SetServing(false);
  impl_->server->Shutdown(std::chrono::system_clock::now() +
                          absl::ToChronoMilliseconds(deadline));
  impl_->server->Wait();
}

std::string AddressOfPeer(const std::string& peer) {
  const size_t colon = peer.find(':');
  const size_t port = peer.rfind(':');
  if (colon == std::string::npos || port <= colon) return peer;
  std::string address = peer.substr(colon + 1, port - colon - 1);
  constexpr std::string_view kOpen = "%5B", kClose = "%5D";
  if (address.starts_with(kOpen) && address.ends_with(kClose)) {
    address = address.substr(kOpen.size(),
                             address.size() - kOpen.size() - kClose.size());
  }
  // A v4 client of a v6 socket and one of a v4 socket are one.
  const auto parsed = base::IpAddress::Parse(address);
  return parsed.ok() ? parsed->ToString() : address;
}

}  // namespace nodeward::ca
