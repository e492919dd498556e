// SPDX-License-Identifier: Apache-2.0
#include "discovery/destination_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

using base::StrCat;
using model::ClientTls;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Of a rule mtls-test/r with `spec`.
struct Reading {
  explicit Reading(const std::string& spec)
      : document(StrCat("apiVersion: networking.istio.io/v1\n"
                        "kind: DestinationRule\n"
                        "metadata: {name: r, namespace: mtls-test}\n"
                        "spec: ",
                        spec, "\n")),
        rule(ReadDestinationRule(document.root(),
                                 ReadMetadata(document.root()))) {}
  Document document;
  model::DestinationRule rule;
};

std::string Tls(const std::string& tls) {
  return StrCat("{host: h.x, trafficPolicy: {tls: ", tls, "}}");
}

TEST(ReadDestinationRuleTest, ReadsEveryFieldOfTls) {
  const Reading reading(R"({
    host: mongo.mongo.svc.cluster.local,
    trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /pem/client.pem,
      privateKey: /pem/client.key, caCertificates: /pem/ca.pem,
      caCrl: /pem/crl.pem, sni: db, subjectAltNames: [a, b]}},
    exportTo: [., other], workloadSelector: {matchLabels: {app: c}}})");
  EXPECT_EQ(reading.document.Findings(), "");
  const auto& rule = reading.rule;
  EXPECT_EQ(rule.QualifiedName(), "mtls-test/r");
  EXPECT_EQ(rule.host, "mongo.mongo.svc.cluster.local");
  ASSERT_TRUE(rule.tls.has_value());
  EXPECT_EQ(rule.tls->mode, ClientTls::Mode::kMutual);
  EXPECT_EQ(rule.tls->client_certificate, "/pem/client.pem");
  EXPECT_EQ(rule.tls->private_key, "/pem/client.key");
  EXPECT_EQ(rule.tls->ca_certificates, "/pem/ca.pem");
  EXPECT_EQ(rule.tls->ca_crl, "/pem/crl.pem");
  EXPECT_EQ(rule.tls->sni, "db");
  EXPECT_THAT(rule.tls->subject_alt_names, ElementsAre("a", "b"));
  EXPECT_THAT(rule.export_to, ElementsAre("mtls-test", "other"));
  EXPECT_EQ(rule.selector, (model::Labels{{"app", "c"}}));
}

TEST(ReadDestinationRuleTest, ShortHostsAreOfTheRulesNamespace) {
  EXPECT_EQ(Reading("{host: httpbin}").rule.host,
            "httpbin.mtls-test.svc.cluster.local");
  // As Istio takes it: a name with a dot is whole.
  EXPECT_EQ(Reading("{host: httpbin.other}").rule.host, "httpbin.other");
  EXPECT_EQ(Reading("{host: '*.local'}").rule.host, "*.local");
  EXPECT_EQ(Reading("{host: '*'}").rule.host, "*");
  for (const char* host : {"''", "'*x'", "'a b'", "'a.*'", "7"}) {
    EXPECT_EQ(Reading(StrCat("{host: ", host, "}")).document.worst(),
              Severity::kFatal)
        << host;
  }
  EXPECT_EQ(Reading("{}").document.Findings(), "/spec/host: is required\n");
}

TEST(ReadDestinationRuleTest, PortsHaveSettingsOfTheirOwn) {
  const Reading reading(
      "{host: h.x, trafficPolicy: {tls: {mode: SIMPLE}, portLevelSettings: "
      "[{port: {number: 80}}, {port: {number: 443}, tls: {mode: DISABLE}}]}}");
  EXPECT_EQ(reading.document.Findings(), "");
  EXPECT_EQ(reading.rule.TlsFor(80), nullptr);
  EXPECT_EQ(reading.rule.TlsFor(443)->mode, ClientTls::Mode::kDisable);
  EXPECT_EQ(reading.rule.TlsFor(1)->mode, ClientTls::Mode::kSimple);
  EXPECT_EQ(Reading("{host: h.x, trafficPolicy: {portLevelSettings: [{}]}}")
                .document.Findings(),
            "/spec/trafficPolicy/portLevelSettings/0/port/number: is "
            "required\n");
}

TEST(ReadDestinationRuleTest, WhatIsNotHonouredIsNoted) {
  const Reading reading(
      "{host: h.x, subsets: [{name: v1}], trafficPolicy: {connectionPool: {}, "
      "loadBalancer: {simple: RANDOM}}}");
  EXPECT_EQ(reading.document.worst(), Severity::kNote);
  EXPECT_THAT(reading.document.Findings(),
              ::testing::AllOf(
                  HasSubstr("/spec/subsets: subsets are not honoured"),
                  HasSubstr("/spec/trafficPolicy/loadBalancer: is not"),
                  HasSubstr("/spec/trafficPolicy/connectionPool: is not")));
  EXPECT_THAT(Reading(Tls("{mode: ISTIO_MUTUAL, caCertificates: /x}"))
                  .document.Findings(),
              HasSubstr("has no effect with mode ISTIO_MUTUAL"));
}

TEST(ReadDestinationRuleTest, RejectsAsTheWebhookDoes) {
  const std::pair<const char*, const char*> cases[] = {
      {"{mode: MUTUALL}", "tls/mode: must be DISABLE"},
      {"{mode: MUTUAL}", "client certificate required"},
      {"{mode: MUTUAL, clientCertificate: /c}", "private key required"},
      {"{mode: MUTUAL, credentialName: s, privateKey: /k}",
       "tls/credentialName: cannot specify"},
      {"{mode: SIMPLE, insecureSkipVerify: true, caCertificates: /c}",
       "tls/insecureSkipVerify: cannot specify"},
      {"{mode: SIMPLE, insecureSkipVerify: true, credentialName: s}",
       "tls/insecureSkipVerify: cannot specify"},
      {"{mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}",
       "tls/insecureSkipVerify: cannot specify"},
      {"{mode: MUTUAL, clientCertificate: /c, privateKey: /k, "
       "insecureSkipVerify: true, caCertificates: /a}",
       "tls/insecureSkipVerify: cannot specify"},
      {"{mode: SIMPLE, cacertificates: /c}",
       "tls/cacertificates: unknown field"},
      {"{mode: SIMPLE, subjectAltNames: ['']}",
       "tls/subjectAltNames/0: must not be empty"},
  };
  for (const auto& [tls, reason] : cases) {
    const Reading reading(Tls(tls));
    EXPECT_THAT(reading.document.Findings(), HasSubstr(reason)) << tls;
    EXPECT_EQ(reading.document.worst(), Severity::kFatal) << tls;
  }
  for (const char* good :
       {"{mode: SIMPLE, insecureSkipVerify: true}",
        "{mode: MUTUAL, credentialName: s, insecureSkipVerify: true}",
        "{mode: MUTUAL, clientCertificate: /c, privateKey: /k, "
        "insecureSkipVerify: true}",
        "{}"}) {
    EXPECT_EQ(Reading(Tls(good)).document.Findings(), "") << good;
  }
  EXPECT_THAT(Reading("{host: h.x, exportTo: ['a b']}").document.Findings(),
              HasSubstr("/spec/exportTo/0: must be a namespace"));
}

}  // namespace
}  // namespace nodeward::discovery
