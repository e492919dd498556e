// SPDX-License-Identifier: Apache-2.0
#include "policy/destination_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/destination.h"

namespace nodeward::policy {
namespace {

using model::ClientTls;
using model::MtlsMode;
using Kind = Route::Kind;
using Mode = model::ClientTls::Mode;
using ::testing::HasSubstr;

base::Endpoint At(const char* text) { return *base::Endpoint::Parse(text); }

// A pod app/client, a pod db/server at 10.0.0.1 behind the service db/mongo at
// 10.96.0.1:27000 and the headless db/direct, and rules.
class DestinationRuleTest : public ::testing::Test {
 protected:
  DestinationRuleTest() {
    snapshot_.root_namespace = "root";
    client_.name = "client";
    client_.name_space = "app";
    client_.labels = model::Labels{{"app", "client"}};
    server_ = std::make_shared<model::Workload>();
    server_->name = "server";
    server_->name_space = "db";
    server_->ips = {*base::IpAddress::Parse("10.0.0.1")};
    snapshot_.workloads = {server_};
    service_ = AddService("mongo", {"10.96.0.1"}, 27000, 27017);
    AddService("direct", {}, 27001, 27018);
  }
  std::shared_ptr<model::Service> AddService(
      const char* name, std::initializer_list<const char*> ips, uint16_t port,
      uint16_t target) {
    auto service = std::make_shared<model::Service>();
    service->name = name;
    service->name_space = "db";
    for (const char* ip : ips) {
      service->cluster_ips.push_back(*base::IpAddress::Parse(ip));
    }
    service->ports.resize(1);
    service->ports[0].port = port;
    service->ports[0].ready = {{{server_->ips[0], target}, server_}};
    snapshot_.services.push_back(service);
    return service;
  }
  std::shared_ptr<model::DestinationRule> Add(
      const char* name_space, const char* name,
      const char* host = "mongo.db.svc.cluster.local",
      Mode mode = Mode::kMutual) {
    auto rule = std::make_shared<model::DestinationRule>();
    rule->name_space = name_space;
    rule->name = name;
    rule->host = host;
    rule->tls.emplace().mode = mode;
    snapshot_.destination_rules.push_back(rule);
    return rule;
  }
  std::string Found() {
    snapshot_.Finish();
    const auto rule = FindDestinationRule(snapshot_, client_, *service_);
    return rule == nullptr ? "" : rule->QualifiedName();
  }
  Route To(const char* destination = "10.96.0.1:27000") {
    snapshot_.Finish();
    return RouteTo(snapshot_, &client_, At(destination), false, 0);
  }
  void Mesh(MtlsMode mode) {
    server_->membership = model::Membership::kEnabled;
    model::PeerAuthentication policy;
    policy.name = "p";
    policy.name_space = "db";
    policy.mode = mode;
    snapshot_.peer_authentications = {policy};
  }

  model::Snapshot snapshot_;
  model::Workload client_;
  std::shared_ptr<model::Workload> server_;
  std::shared_ptr<model::Service> service_;
};

TEST_F(DestinationRuleTest, TheClientsNamespaceThenTheServicesThenTheRoot) {
  EXPECT_EQ(Found(), "");
  Add("other", "r");
  EXPECT_EQ(Found(), "");
  Add("root", "r");
  EXPECT_EQ(Found(), "root/r");
  Add("db", "r");
  EXPECT_EQ(Found(), "db/r");
  Add("app", "wide", "*");
  EXPECT_EQ(Found(), "app/wide");
}

TEST_F(DestinationRuleTest, TheMostSpecificHostFirst) {
  Add("app", "all", "*");
  EXPECT_EQ(Found(), "app/all");
  Add("app", "longer", "*.db.svc.cluster.local");
  EXPECT_EQ(Found(), "app/longer");
  Add("app", "shorter", "*.local");
  EXPECT_EQ(Found(), "app/longer");
  Add("app", "other", "other.db.svc.cluster.local");
  EXPECT_EQ(Found(), "app/longer");
  Add("app", "exact");
  EXPECT_EQ(Found(), "app/exact");
}

TEST_F(DestinationRuleTest, ExportToHidesAndShows) {
  auto rule = Add("db", "r");
  rule->export_to = {"db"};
  EXPECT_EQ(Found(), "");
  rule->export_to = {"app"};
  EXPECT_EQ(Found(), "db/r");
  rule->export_to = {"*"};
  EXPECT_EQ(Found(), "db/r");
}

TEST_F(DestinationRuleTest, SelectorsBeatNoneAndOnlyInTheirNamespace) {
  Add("app", "general");
  auto narrow = Add("app", "narrow");
  narrow->selector = {{"app", "client"}};
  EXPECT_EQ(Found(), "app/narrow");
  narrow->selector = {{"app", "other"}};
  EXPECT_EQ(Found(), "app/general");
  snapshot_.destination_rules.clear();
  Add("db", "far")->selector = {{"app", "client"}};
  EXPECT_EQ(Found(), "");
}

TEST_F(DestinationRuleTest, OfOneHostTheOldestThatSaysAnything) {
  Add("app", "b")->created = 2;
  Add("app", "a")->created = 3;
  EXPECT_EQ(Found(), "app/b");
  auto silent = Add("app", "c");
  silent->created = 1;
  EXPECT_EQ(Found(), "app/c");
  silent->tls.reset();
  EXPECT_EQ(Found(), "app/b");
}

TEST_F(DestinationRuleTest, OutsideOfTheMeshTheRuleOriginatesTls) {
  EXPECT_EQ(To().kind, Kind::kPlaintext);
  const auto rule = Add("app", "r");
  for (const Mode mode : {Mode::kMutual, Mode::kSimple}) {
    rule->tls->mode = mode;
    const Route route = To();
    EXPECT_EQ(route.kind, Kind::kOriginate);
    EXPECT_EQ(route.rule, rule);
    EXPECT_EQ(route.tls, &*rule->tls);
    EXPECT_EQ(route.address, At("10.0.0.1:27017"));
    EXPECT_EQ(route.server_name, "");
  }
  rule->tls->mode = Mode::kDisable;
  EXPECT_EQ(To().kind, Kind::kPlaintext);
  rule->tls->mode = Mode::kIstioMutual;
  EXPECT_EQ(To().kind, Kind::kRefuse);
  EXPECT_THAT(To().reason, HasSubstr("not in the mesh"));
  rule->tls.reset();
  EXPECT_EQ(To().kind, Kind::kPlaintext);
  EXPECT_EQ(To().rule, nullptr);
}

TEST_F(DestinationRuleTest, AHeadlessServiceIsKnownByItsEndpoints) {
  Add("app", "r", "direct.db.svc.cluster.local");
  EXPECT_EQ(To("10.0.0.1:27018").kind, Kind::kOriginate);
  // A ClusterIP service's endpoints are not the service.
  EXPECT_EQ(To("10.0.0.1:27017").kind, Kind::kPlaintext);
  EXPECT_EQ(To().kind, Kind::kPlaintext);
  // Ready or not: whoever knows the address still must not send plaintext.
  auto& port = const_cast<model::Service&>(*snapshot_.services[1]).ports[0];
  std::swap(port.ready, port.unready);
  EXPECT_EQ(To("10.0.0.1:27018").kind, Kind::kOriginate);
}

TEST_F(DestinationRuleTest, PortsHaveTheirOwn) {
  const auto rule = Add("app", "r");
  rule->port_tls[27000] = std::nullopt;
  EXPECT_EQ(To().kind, Kind::kPlaintext);
  rule->port_tls.clear();
  rule->port_tls[27017].emplace().mode = Mode::kDisable;  // the pod's, not ours
  EXPECT_EQ(To().kind, Kind::kOriginate);
}

TEST_F(DestinationRuleTest, ServersAreNamedBySniOrHttp) {
  const auto rule = Add("app", "r");
  rule->tls->sni = "db";
  EXPECT_EQ(To().server_name, "db");
  rule->tls->sni.clear();
  service_->ports[0].protocol = model::Protocol::kHttp;
  EXPECT_EQ(To().server_name, "mongo.db.svc.cluster.local");
  rule->tls->subject_alt_names = {"x"};
  EXPECT_EQ(To().server_name, "");
  rule->tls->subject_alt_names.clear();
  rule->tls->insecure_skip_verify = true;
  EXPECT_EQ(To().server_name, "");
}

TEST_F(DestinationRuleTest, AgainstTheModeOfTheMesh) {
  struct Row {
    Mode rule;
    MtlsMode server;
    Kind kind;
  };
  const auto rule = Add("app", "r");
  for (const Row& row :
       {Row{Mode::kIstioMutual, MtlsMode::kStrict, Kind::kTunnel},
        Row{Mode::kIstioMutual, MtlsMode::kPermissive, Kind::kTunnel},
        Row{Mode::kIstioMutual, MtlsMode::kDisable, Kind::kTunnel},
        Row{Mode::kDisable, MtlsMode::kStrict, Kind::kRefuse},
        Row{Mode::kDisable, MtlsMode::kPermissive, Kind::kPlaintext},
        Row{Mode::kDisable, MtlsMode::kDisable, Kind::kPlaintext},
        Row{Mode::kMutual, MtlsMode::kStrict, Kind::kRefuse},
        Row{Mode::kSimple, MtlsMode::kPermissive, Kind::kOriginate},
        Row{Mode::kMutual, MtlsMode::kDisable, Kind::kOriginate}}) {
    Mesh(row.server);
    rule->tls->mode = row.rule;
    EXPECT_EQ(To().kind, row.kind)
        << ClientTlsModeText(row.rule) << " " << MtlsModeText(row.server);
  }
  Mesh(MtlsMode::kStrict);
  rule->tls->mode = Mode::kDisable;
  EXPECT_EQ(To().reason,
            "DestinationRule app/r says DISABLE, but db/server is STRICT");
}

TEST_F(DestinationRuleTest, ABrokenRuleRefuses) {
  Add("app", "r")->broken = "/spec: why";
  EXPECT_EQ(To().kind, Kind::kRefuse);
  EXPECT_EQ(To().reason, "DestinationRule app/r is broken: /spec: why");
}

TEST_F(DestinationRuleTest, RouteAgainKeepsTheServiceAndTheAddress) {
  const Route plain = To();
  EXPECT_EQ(plain.kind, Kind::kPlaintext);
  const auto again = [&] {
    snapshot_.Finish();
    return RouteAgain(snapshot_, &client_, At("10.96.0.1:27000"), plain.address,
                      false);
  };
  EXPECT_EQ(again().kind, Kind::kPlaintext);
  Add("app", "r");
  EXPECT_EQ(again().kind, Kind::kOriginate);
  EXPECT_EQ(again().address, plain.address);
  snapshot_.services.clear();
  EXPECT_EQ(again().kind, Kind::kPlaintext);
}

}  // namespace
}  // namespace nodeward::policy
