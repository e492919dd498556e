// SPDX-License-Identifier: Apache-2.0
//
// Connections that a DestinationRule gives TLS, to a server outside of the mesh
// that is OpenSSL's own.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

#include "base/handle.h"
#include "hbone/engine_fixture.h"
#include "pki/client_material.h"
#include "pki/forge.h"

namespace nodeward::hbone {
namespace {

using model::ClientTls;
using observe::Outcome;
using observe::Security;
using ::testing::HasSubstr;

using ServerContext = base::Handle<SSL_CTX, SSL_CTX_free>;

// Greets whoever has a certificate of `root`, then says back what it gets.
class TlsServer {
 public:
  TlsServer(const base::Endpoint& at, const pki::Root& root, int version)
      : key_(*pki::PrivateKey::GenerateP256()),
        certificate_(pki::Forge(root, key_, {.names = "DNS:db.example"})),
        context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX* const context = context_.get();
    EXPECT_EQ(SSL_CTX_use_certificate(context, certificate_.native()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context, key_.native()), 1);
    EXPECT_EQ(SSL_CTX_set_max_proto_version(context, version), 1);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context),
                        root.certificate.native());
    SSL_CTX_set_verify(
        context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    server_ = std::make_unique<Server>(at, [this](Tcp tcp) { Serve(tcp); });
  }
  int accepted() const { return server_->accepted(); }

 private:
  void Serve(Tcp& tcp) {
    const base::Handle<SSL, SSL_free> ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), tcp.fd());
    if (SSL_accept(ssl.get()) == 1) {
      SSL_write(ssl.get(), "welcome", 7);
      char buffer[4096];
      int count;
      while ((count = SSL_read(ssl.get(), buffer, sizeof(buffer))) > 0) {
        if (SSL_write(ssl.get(), buffer, count) != count) break;
      }
      SSL_shutdown(ssl.get());
    }
    ERR_clear_error();
  }

  pki::PrivateKey key_;
  pki::Certificate certificate_;
  ServerContext context_;
  std::unique_ptr<Server> server_;
};

class OriginationTest : public EngineTest {
 protected:
  OriginationTest() : root_(pki::NewRoot("db")), other_(pki::NewRoot("x")) {
    // OpenSSL's socket BIO writes without MSG_NOSIGNAL.
    signal(SIGPIPE, SIG_IGN);
  }

  // A client of the mesh, a pod that is not of it behind a ClusterIP, and a
  // rule.
  void Begin(int version = TLS1_3_VERSION) {
    client_ = MakePod("client");
    legacy_ = MakePod("legacy");
    legacy_.workload->membership = model::Membership::kNotOptedIn;
    auto service = std::make_shared<model::Service>();
    service->name = "db";
    service->name_space = "full";
    service->cluster_ips = {vip_.address};
    service->ports.push_back(
        {"", vip_.port, {}, false, {{At(legacy_), legacy_.workload}}});
    services = {service};
    rule_->name = "r";
    rule_->name_space = "full";
    rule_->host = service->Hostname();
    rule_->tls.emplace().mode = ClientTls::Mode::kMutual;
    rules = {rule_};
    Give(root_, root_);
    Publish();
    Enrol(a(), client_);
    server_ = std::make_unique<TlsServer>(At(legacy_), root_, version);
  }
  // Certificate and key of `by`, with `trusted` as the roots.
  void Give(const pki::Root& by, const pki::Root& trusted) {
    const auto key = pki::PrivateKey::GenerateP256();
    const std::string pem = pki::Forge(by, *key, {}).ToPem() + *key->ToPem();
    const std::string roots = trusted.certificate.ToPem();
    pki::ClientMaterial::Texts texts;
    texts.certificate = texts.key = pki::ClientMaterial::Text{"/c", pem};
    texts.roots = {"/ca", roots};
    const auto made = pki::ClientMaterial::Create(texts);
    ASSERT_TRUE(made.ok()) << made.status();
    Have({*made, ""});
  }
  void Have(pki::ClientMaterials::Entry entry) {
    auto all = std::make_shared<pki::ClientMaterials>();
    all->entries[pki::ClientMaterials::KeyOf(*client_.workload, *rule_->tls)] =
        std::move(entry);
    materials = std::move(all);
  }
  Tcp Ask() { return Connect(client_, vip_); }

  pki::Root root_;
  pki::Root other_;
  const base::Endpoint vip_ = *base::Endpoint::Parse("127.200.0.9:27017");
  std::shared_ptr<model::DestinationRule> rule_ =
      std::make_shared<model::DestinationRule>();
  TestPod client_;
  TestPod legacy_;
  std::unique_ptr<TlsServer> server_;
};

TEST_F(OriginationTest, PlaintextBecomesTls) {
  for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
    if (server_ != nullptr) server_.reset();
    if (version == TLS1_3_VERSION) {
      Begin(version);
    } else {
      server_ = std::make_unique<TlsServer>(At(legacy_), root_, version);
    }
    Tcp tcp = Ask();
    EXPECT_EQ(tcp.Receive(7), "welcome");  // the server speaks first
    ASSERT_TRUE(tcp.Send("ping"));
    EXPECT_EQ(tcp.Receive(4), "ping");
    tcp.Finish();
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  }
  const auto flow = a().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->security, Security::kOriginatedTls);
  EXPECT_EQ(flow->policy, "full/r");
  EXPECT_EQ(flow->bytes_sent, 4u);
  EXPECT_EQ(flow->bytes_received, 11u);
}

TEST_F(OriginationTest, AServerOfAnotherCaIsRefused) {
  Begin();
  Give(root_, other_);
  Publish();
  Tcp tcp = Ask();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto flow = a().flows.AwaitClosed(Outcome::kTlsFailure);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail, HasSubstr("not among the trusted roots"));
  EXPECT_THAT(flow->detail, HasSubstr("DestinationRule full/r"));
}

TEST_F(OriginationTest, AServerThatRefusesUsIsTold) {
  Begin();
  Give(other_, root_);
  Publish();
  Tcp tcp = Ask();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto flow = a().flows.AwaitClosed(Outcome::kTlsFailure);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail, HasSubstr("refused our client certificate"));
}

TEST_F(OriginationTest, NamesAreChecked) {
  Begin();
  rule_->tls->sni = "db.example";
  Publish();
  EXPECT_EQ(Ask().Receive(7), "welcome");
  auto other = std::make_shared<model::DestinationRule>(*rule_);
  other->tls->sni = "other.example";
  rules = {other};
  Publish();
  EXPECT_EQ(Ask().AwaitEnd(), Ending::kReset);
  const auto flow = a().flows.AwaitClosed(Outcome::kTlsFailure);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail, HasSubstr("is not for other.example"));
}

TEST_F(OriginationTest, WithoutMaterialNothingIsSent) {
  Begin();
  for (const bool known : {true, false}) {
    if (known) {
      Have({nullptr, "/pem/x: no such file"});
    } else {
      materials = nullptr;
    }
    Publish();
    Tcp tcp = Ask();
    // A send that fails has taken the reset already.
    if (tcp.Send("secret")) EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  }
  EXPECT_EQ(server_->accepted(), 0);
  const auto flow = a().flows.AwaitClosed(Outcome::kNoCredential);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->detail, "DestinationRule full/r: /pem/x: no such file");
}

TEST_F(OriginationTest, AChangeOfTheRuleClosesWhatItForbids) {
  Begin();
  const auto rule = rules;
  rules.clear();
  Publish();
  Tcp plain = Ask();
  ASSERT_TRUE(Await([this] { return a().flows.opened().size() == 1; }));
  rules = rule;
  Publish();
  EXPECT_EQ(plain.AwaitEnd(), Ending::kReset);
  Tcp secured = Ask();
  EXPECT_EQ(secured.Receive(7), "welcome");
  // The same again, and other files: nothing that is open cares.
  rules = {std::make_shared<model::DestinationRule>(*rule_)};
  Give(root_, root_);
  Publish();
  EXPECT_TRUE(secured.StaysOpen(50));
  auto other = std::make_shared<model::DestinationRule>(*rule_);
  other->tls->subject_alt_names = {"db.example"};
  rules = {other};
  Publish();
  EXPECT_EQ(secured.AwaitEnd(), Ending::kReset);
}

TEST_F(OriginationTest, AServerThatNeverAnswersIsATimeout) {
  options.handshake_timeout = absl::Milliseconds(50);
  Begin();
  server_.reset();
  const Server silent(At(legacy_), [](Tcp tcp) { tcp.AwaitEnd(); });
  EXPECT_EQ(Ask().AwaitEnd(), Ending::kReset);
  const auto flow = a().flows.AwaitClosed(Outcome::kUpstreamTimeout);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail, HasSubstr("TLS handshake with"));
}

}  // namespace
}  // namespace nodeward::hbone
