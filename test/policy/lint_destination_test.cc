// SPDX-License-Identifier: Apache-2.0
#include "policy/lint_destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policy/lint.h"

namespace nodeward::policy {
namespace {

using model::ClientTls;
using Mode = model::ClientTls::Mode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A pod db/server behind the service db/mongo and one rule for it.
class LintDestinationTest : public ::testing::Test {
 protected:
  LintDestinationTest() {
    server_ = std::make_shared<model::Workload>();
    server_->name = "server";
    server_->name_space = "db";
    server_->ips = {*base::IpAddress::Parse("10.0.0.1")};
    snapshot_.workloads = {server_};
    auto service = std::make_shared<model::Service>();
    service->name = "mongo";
    service->name_space = "db";
    service->ports.resize(1);
    service->ports[0].port = 27017;
    service->ports[0].ready = {{{server_->ips[0], 27017}, server_}};
    snapshot_.services = {service};
    rule_ = Add("r");
  }
  std::shared_ptr<model::DestinationRule> Add(const char* name) {
    auto rule = std::make_shared<model::DestinationRule>();
    rule->name = name;
    rule->name_space = "app";
    rule->host = "mongo.db.svc.cluster.local";
    rule->file = "r.yaml";
    rule->line = 2;
    rule->tls.emplace().mode = Mode::kDisable;
    snapshot_.destination_rules.push_back(rule);
    return rule;
  }
  std::vector<std::string> Reasons() {
    snapshot_.Finish();
    std::vector<model::Problem> problems;
    LintDestinationRules(snapshot_, &problems);
    std::vector<std::string> reasons;
    for (const auto& problem : problems) reasons.push_back(problem.ToString());
    return reasons;
  }
  void Strict() {
    server_->membership = model::Membership::kEnabled;
    model::PeerAuthentication policy;
    policy.name = "p";
    policy.name_space = "db";
    policy.mode = model::MtlsMode::kStrict;
    snapshot_.peer_authentications = {policy};
  }
  model::Snapshot snapshot_;
  std::shared_ptr<model::Workload> server_;
  std::shared_ptr<model::DestinationRule> rule_;
};

TEST_F(LintDestinationTest, ARuleThatContradictsStrict) {
  EXPECT_THAT(Reasons(), IsEmpty());
  Strict();
  EXPECT_THAT(
      Reasons(),
      ElementsAre("r.yaml:2: DestinationRule app/r: says DISABLE for port "
                  "27017 of service db/mongo, but db/server is STRICT "
                  "(PeerAuthentication db/p): connections are refused"));
  EXPECT_THAT(Lint(snapshot_),
              ::testing::Contains(::testing::Field(&model::Problem::reason,
                                                   HasSubstr("says DISABLE"))));
  rule_->tls->mode = Mode::kIstioMutual;
  EXPECT_THAT(Reasons(), IsEmpty());
}

TEST_F(LintDestinationTest, MutualTlsWithWhoIsNotOfTheMesh) {
  rule_->tls->mode = Mode::kIstioMutual;
  EXPECT_THAT(Reasons(), ElementsAre(HasSubstr("db/server is not in the mesh: "
                                               "connections are refused")));
}

TEST_F(LintDestinationTest, AHostThatNamesNothing) {
  rule_->host = "mongo.db";
  EXPECT_THAT(Reasons(), ElementsAre(HasSubstr("mongo.db is that of no "
                                               "service")));
  snapshot_.services.clear();
  EXPECT_THAT(Reasons(), IsEmpty());
}

TEST_F(LintDestinationTest, AnOlderRuleOfTheSameHost) {
  Add("s");
  EXPECT_THAT(Reasons(), ElementsAre(HasSubstr("app/s: its TLS has no effect: "
                                               "app/r has the same host")));
}

TEST_F(LintDestinationTest, PublicCasAndNoName) {
  rule_->tls->mode = Mode::kSimple;
  EXPECT_THAT(Reasons(), ElementsAre(HasSubstr("any public CA")));
  rule_->tls->sni = "db.example";
  EXPECT_THAT(Reasons(), IsEmpty());
  rule_->tls->sni.clear();
  rule_->tls->ca_certificates = "/pem/ca.pem";
  EXPECT_THAT(Reasons(), IsEmpty());
}

}  // namespace
}  // namespace nodeward::policy
