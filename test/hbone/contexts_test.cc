// SPDX-License-Identifier: Apache-2.0
#include "hbone/contexts.h"

#include "hbone/engine_fixture.h"

namespace nodeward::hbone {
namespace {

constexpr auto kH2 = tls::Context::Options::Alpn::kH2;

class ContextsTest : public EngineTest {
 protected:
  const model::Identity who{"cluster.local", "full", "client"};
};

TEST_F(ContextsTest, IsOneWhileNothingChanges) {
  Contexts contexts(&a().credentials);
  EXPECT_EQ(contexts.Find(who, tls::Role::kClient, kH2), nullptr);
  GiveCredential(a(), who);
  const auto first = contexts.Find(who, tls::Role::kClient, kH2);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(contexts.Find(who, tls::Role::kClient, kH2), first);
  contexts.Refresh();
  EXPECT_EQ(contexts.Find(who, tls::Role::kClient, kH2), first);
  EXPECT_NE(contexts.Find(who, tls::Role::kServer, kH2), first);
}

TEST_F(ContextsTest, ARenewedOrRemovedCredentialIsNoticed) {
  Contexts contexts(&a().credentials);
  GiveCredential(a(), who);
  const auto first = contexts.Find(who, tls::Role::kClient, kH2);
  GiveCredential(a(), who);
  contexts.Refresh();
  const auto second = contexts.Find(who, tls::Role::kClient, kH2);
  ASSERT_NE(second, nullptr);
  EXPECT_NE(second, first);
  a().credentials.Remove(who);
  contexts.Refresh();
  EXPECT_EQ(contexts.Find(who, tls::Role::kClient, kH2), nullptr);
}

TEST_F(ContextsTest, ANewBundleIsNoticed) {
  Contexts contexts(&a().credentials);
  GiveCredential(a(), who);
  const auto first = contexts.Find(who, tls::Role::kServer, kH2);
  a().credentials.SetBundle(
      std::make_shared<pki::TrustBundle>(*a().credentials.bundle()));
  contexts.Refresh();
  EXPECT_NE(contexts.Find(who, tls::Role::kServer, kH2), first);
}

TEST_F(ContextsTest, ARulesContextIsOneForEachMaterialAndServer) {
  Contexts contexts(&a().credentials);
  const auto material = *pki::ClientMaterial::Create({});
  const auto first = contexts.FindOriginating(material, {});
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(contexts.FindOriginating(material, {}), first);
  EXPECT_NE(contexts.FindOriginating(material, {{.sni = "x"}}), first);
  EXPECT_NE(contexts.FindOriginating(*pki::ClientMaterial::Create({}), {}),
            first);
  // However many there were, one that is in use stays.
  for (int i = 0; i < 200; ++i) {
    contexts.FindOriginating(material, {{.sni = std::to_string(i)}});
  }
  EXPECT_EQ(contexts.FindOriginating(material, {}), first);
}

}  // namespace
}  // namespace nodeward::hbone
