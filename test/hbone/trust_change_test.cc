// SPDX-License-Identifier: Apache-2.0
//
// Roots, revocation lists and certificates change under open connections.
#include <optional>

#include "hbone/engine_fixture.h"
#include "pki/revoke.h"

namespace nodeward::hbone {
namespace {

using observe::Outcome;
using testing::HasSubstr;

class TrustChangeTest : public EngineTest {
 protected:
  void Begin() {
    client = MakePod("client");
    server = MakePod("server");
    Publish();
    Enrol(a(), client);
    Enrol(b(), server);
    app = std::make_unique<Server>(ApplicationOf(At(server)), Echo);
  }
  Tcp Open() {
    Tcp tcp = Connect(client, At(server));
    EXPECT_TRUE(Speaks(tcp));
    return tcp;
  }
  static bool Speaks(Tcp& tcp) {
    return tcp.Send("x") && tcp.Receive(1) == "x";
  }
  // What `node` believes in, changed.
  static void Trust(Node& node,
                    const std::function<void(pki::TrustBundle&)>& change) {
    auto bundle =
        std::make_shared<pki::TrustBundle>(*node.credentials.bundle());
    ++bundle->generation;
    change(*bundle);
    node.credentials.SetBundle(std::move(bundle));
    node.engine->CredentialsChanged();
  }
  // A credential signed by another root than the CA's.
  void Move(Node& node, const TestPod& pod, const pki::Root& root) {
    node.credentials.Put(pki::NewCredential(root, pod.workload->identity));
    node.engine->CredentialsChanged();
  }
  void Give(Node& node, const TestPod& pod, const pki::Root& root,
            const pki::Forgery& forgery) {
    auto credential =
        pki::ForgedCredential(root, pod.workload->identity, forgery);
    node.credentials.Put(credential);
    node.engine->CredentialsChanged();
  }

  const pki::Root next = pki::NewRoot();
  TestPod client;
  TestPod server;
  std::unique_ptr<Server> app;
};

// Add the new root, move the issuers, take the old root away: what was opened
// under the new one goes on.
TEST_F(TrustChangeTest, ARootIsRotatedUnderOpenConnections) {
  Begin();
  Tcp first = Open();
  for (Node* node : {&a(), &b()}) {
    Trust(*node, [&](pki::TrustBundle& bundle) {
      bundle.roots.push_back(next.certificate);
    });
  }
  EXPECT_TRUE(Speaks(first));
  Move(a(), client, next);
  EXPECT_TRUE(Speaks(first));
  Tcp mixed = Open();
  Move(b(), server, next);
  // The server's GOAWAY is on its way: a third tunnel comes sooner or later.
  std::optional<Tcp> second;
  ASSERT_TRUE(Await([&] {
    second.emplace(Open());
    return b().engine->load().tunnels >= 3;
  }));
  // `mixed` came when the server still had its old certificate.
  EXPECT_TRUE(Speaks(mixed));
  // The client's end alone knows: its peer's certificate rests on the old root.
  Trust(a(),
        [&](pki::TrustBundle& bundle) { bundle.roots = {next.certificate}; });
  EXPECT_EQ(first.AwaitEnd(), Ending::kReset);
  EXPECT_EQ(mixed.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(Speaks(*second));
  Trust(b(),
        [&](pki::TrustBundle& bundle) { bundle.roots = {next.certificate}; });
  EXPECT_TRUE(Speaks(*second));
  const auto flow = a().flows.AwaitClosed(Outcome::kTrustChanged);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail, HasSubstr("not among the trusted roots"));
}

TEST_F(TrustChangeTest, TheServersEndCutsToo) {
  Begin();
  Tcp tcp = Open();
  Trust(b(),
        [&](pki::TrustBundle& bundle) { bundle.roots = {next.certificate}; });
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto flow = b().flows.AwaitClosed(Outcome::kTrustChanged);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail, HasSubstr("not among the trusted roots"));
  Tcp late = Connect(client, At(server));
  EXPECT_EQ(late.AwaitEnd(), Ending::kReset);
}

TEST_F(TrustChangeTest, ARevokedPeerIsCut) {
  Begin();
  Tcp tcp = Open();
  // Made by the same CA, so that its root may sign the list.
  const pki::Root root{ca->root(), *pki::PrivateKey::ParsePem(RootKey())};
  const auto own = a().credentials.Find(client.workload->identity);
  const pki::Certificate leaf = own->leaf();
  Trust(b(), [&](pki::TrustBundle& bundle) {
    bundle.revocations = {pki::Revoke(root, {&root.certificate})};
  });
  EXPECT_TRUE(Speaks(tcp));
  Trust(b(), [&](pki::TrustBundle& bundle) {
    bundle.revocations = {pki::Revoke(root, {&leaf})};
  });
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto flow = b().flows.AwaitClosed(Outcome::kTrustChanged);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail, HasSubstr("revoked"));
}

TEST_F(TrustChangeTest, NewConnectionsUseTheRenewedServerCertificate) {
  Begin();
  Tcp first = Open();
  const auto before = b().credentials.Find(server.workload->identity);
  GiveCredential(b(), server.workload->identity);
  // The GOAWAY is on its way; sooner or later connections come in new tunnels,
  // and the first one goes on.
  EXPECT_TRUE(Await([&] {
    Tcp tcp = Open();
    return b().engine->load().tunnels > 1;
  }));
  EXPECT_TRUE(Speaks(first));
}

TEST_F(TrustChangeTest, AConnectionEndsSoonAfterACertificateOfIt) {
  options.certificate_grace = absl::Milliseconds(100);
  Begin();
  const pki::Root root{ca->root(), *pki::PrivateKey::ParsePem(RootKey())};
  Give(a(), client, root,
       {.names = "critical,URI:" + client.workload->identity->ToSpiffe(),
        .not_after = absl::Now() + absl::Seconds(3)});
  Tcp tcp = Open();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  // Both ends go by the same clock; whichever is first says why.
  EXPECT_TRUE(Await([&] {
    for (const Node* node : {&a(), &b()}) {
      for (const auto& each : node->flows.closed()) {
        if (each.outcome == Outcome::kCertificateEnd) {
          return each.detail.find("expired on") != std::string::npos;
        }
      }
    }
    return false;
  }));
}

}  // namespace
}  // namespace nodeward::hbone
