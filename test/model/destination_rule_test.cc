// SPDX-License-Identifier: Apache-2.0
#include "model/destination_rule.h"

#include <gtest/gtest.h>

namespace nodeward::model {
namespace {

TEST(DestinationRuleTest, HostsCoverNames) {
  DestinationRule rule;
  rule.host = "a.b.svc.cluster.local";
  EXPECT_TRUE(rule.Covers("a.b.svc.cluster.local"));
  EXPECT_FALSE(rule.Covers("x.a.b.svc.cluster.local"));
  rule.host = "*.b.svc.cluster.local";
  EXPECT_TRUE(rule.Covers("a.b.svc.cluster.local"));
  EXPECT_FALSE(rule.Covers("b.svc.cluster.local"));
  EXPECT_FALSE(rule.Covers("a.c.svc.cluster.local"));
  rule.host = "*";
  EXPECT_TRUE(rule.Covers("anything"));
}

TEST(DestinationRuleTest, VisibleInItsOwnNamespaceAndWhereExported) {
  DestinationRule rule;
  rule.name_space = "own";
  EXPECT_TRUE(rule.VisibleIn("far"));
  rule.export_to = {"own"};
  EXPECT_FALSE(rule.VisibleIn("far"));
  EXPECT_TRUE(rule.VisibleIn("own"));
  rule.export_to = {"far"};
  EXPECT_TRUE(rule.VisibleIn("far"));
  EXPECT_TRUE(rule.VisibleIn("own"));
  rule.export_to = {"*"};
  EXPECT_TRUE(rule.VisibleIn("anywhere"));
}

TEST(DestinationRuleTest, APortsSettingsReplaceTheGeneralOnes) {
  DestinationRule rule;
  EXPECT_EQ(rule.TlsFor(80), nullptr);
  EXPECT_FALSE(rule.Secures());
  rule.tls.emplace().mode = ClientTls::Mode::kDisable;
  EXPECT_FALSE(rule.Secures());
  rule.port_tls[443].emplace().mode = ClientTls::Mode::kSimple;
  rule.port_tls[80] = std::nullopt;
  EXPECT_TRUE(rule.Secures());
  EXPECT_EQ(rule.TlsFor(443)->mode, ClientTls::Mode::kSimple);
  EXPECT_EQ(rule.TlsFor(80), nullptr);
  EXPECT_EQ(rule.TlsFor(81)->mode, ClientTls::Mode::kDisable);
}

TEST(DestinationRuleTest, ABrokenOneSecuresWhatNobodyKnows) {
  DestinationRule rule;
  rule.broken = "why";
  EXPECT_TRUE(rule.Secures());
}

TEST(DestinationRuleTest, ModesHaveTheirNames) {
  EXPECT_EQ(ClientTlsModeText(ClientTls::Mode::kDisable), "DISABLE");
  EXPECT_EQ(ClientTlsModeText(ClientTls::Mode::kSimple), "SIMPLE");
  EXPECT_EQ(ClientTlsModeText(ClientTls::Mode::kMutual), "MUTUAL");
  EXPECT_EQ(ClientTlsModeText(ClientTls::Mode::kIstioMutual), "ISTIO_MUTUAL");
}

}  // namespace
}  // namespace nodeward::model
