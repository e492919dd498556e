// SPDX-License-Identifier: Apache-2.0
#include "model/snapshot.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace nodeward::model {
namespace {

base::IpAddress Ip(const char* text) { return *base::IpAddress::Parse(text); }

std::shared_ptr<Workload> Pod(const char* name,
                              std::initializer_list<const char*> ips) {
  auto pod = std::make_shared<Workload>();
  pod->name = name;
  pod->name_space = "ns";
  pod->membership = Membership::kEnabled;
  pod->opted_in = true;
  for (const char* ip : ips) pod->ips.push_back(Ip(ip));
  return pod;
}

TEST(SnapshotTest, FindsAWorkloadByEachOfItsAddresses) {
  Snapshot snapshot;
  snapshot.workloads = {Pod("a", {"10.0.0.1", "fd00::1"}),
                        Pod("b", {"10.0.0.2"})};
  snapshot.Finish();
  EXPECT_EQ(snapshot.FindWorkload(Ip("10.0.0.1"))->name, "a");
  EXPECT_EQ(snapshot.FindWorkload(Ip("fd00::1"))->name, "a");
  EXPECT_EQ(snapshot.FindWorkload(Ip("10.0.0.2"))->name, "b");
  EXPECT_EQ(snapshot.FindWorkload(Ip("10.0.0.3")), nullptr);
}

TEST(SnapshotTest, ADisputedAddressBelongsToNobody) {
  Snapshot snapshot;
  snapshot.workloads = {Pod("a", {"10.0.0.1", "fd00::1"}),
                        Pod("b", {"10.0.0.1"}), Pod("c", {"10.0.0.1"})};
  snapshot.Finish();
  EXPECT_EQ(snapshot.FindWorkload(Ip("10.0.0.1")), nullptr);
  EXPECT_TRUE(snapshot.conflicting_ips.contains(Ip("10.0.0.1")));
  EXPECT_EQ(snapshot.FindWorkload(Ip("fd00::1"))->name, "a");
}

TEST(SnapshotTest, AnAddressGivenTwiceByOnePodIsNoDispute) {
  Snapshot snapshot;
  snapshot.workloads = {Pod("a", {"10.0.0.1", "10.0.0.1"})};
  snapshot.Finish();
  EXPECT_NE(snapshot.FindWorkload(Ip("10.0.0.1")), nullptr);
  EXPECT_TRUE(snapshot.conflicting_ips.empty());
}

TEST(SnapshotTest, TerminalAndHostNetworkPodsOwnNoAddress) {
  Snapshot snapshot;
  auto ended = Pod("a", {"10.0.0.1"});
  ended->membership = Membership::kTerminal;
  auto host = Pod("b", {"10.0.0.9"});
  host->membership = Membership::kHostNetwork;
  auto host2 = Pod("c", {"10.0.0.9"});
  host2->membership = Membership::kHostNetwork;
  snapshot.workloads = {ended, host, host2};
  snapshot.Finish();
  EXPECT_EQ(snapshot.FindWorkload(Ip("10.0.0.1")), nullptr);
  EXPECT_EQ(snapshot.departed_by_ip.at(Ip("10.0.0.1"))->name, "a");
  EXPECT_EQ(snapshot.FindWorkload(Ip("10.0.0.9")), nullptr);
  EXPECT_TRUE(snapshot.conflicting_ips.empty());
}

TEST(SnapshotTest, AnAddressOfATerminalPodIsFreeForTheNext) {
  Snapshot snapshot;
  auto ended = Pod("a", {"10.0.0.1"});
  ended->membership = Membership::kTerminal;
  snapshot.workloads = {ended, Pod("b", {"10.0.0.1"})};
  snapshot.Finish();
  EXPECT_EQ(snapshot.FindWorkload(Ip("10.0.0.1"))->name, "b");
  EXPECT_TRUE(snapshot.departed_by_ip.empty());
}

TEST(SnapshotTest, FindsWhatServesAPort) {
  Snapshot snapshot;
  auto pod = Pod("a", {"10.0.0.1"});
  pod->ports = {{"mysql", 3306, TraitsOfPort("", "mysql")},
                {"http", 80, TraitsOfPort("", "http")}};
  auto service = std::make_shared<Service>();
  service->name = "httpbin";
  service->name_space = "ns";
  service->cluster_ips = {Ip("10.96.0.1")};
  service->ports = {
      {"grpc", 8000, Protocol::kGrpc, false, {{{Ip("10.0.0.1"), 80}, pod}}}};
  auto later = std::make_shared<Service>(*service);
  later->name = "zzz";
  snapshot.workloads = {pod};
  snapshot.services = {service, later};
  snapshot.Finish();
  EXPECT_EQ(snapshot.FindService(Ip("10.96.0.1")), service.get());
  EXPECT_EQ(snapshot.FindService(Ip("10.96.0.2")), nullptr);
  const auto served = snapshot.FindServed(*pod, 80);
  EXPECT_EQ(served.service, service.get());
  EXPECT_EQ(served.port->port, 8000);
  EXPECT_EQ(snapshot.FindServed(*pod, 81).service, nullptr);
  EXPECT_EQ(service->Hostname(), "httpbin.ns.svc.cluster.local");
  EXPECT_EQ(service->FindPort(8000)->name, "grpc");
  EXPECT_EQ(service->FindPort(80), nullptr);
  // The service's word beats the container's; without one that counts.
  EXPECT_EQ(snapshot.TraitsOf(*pod, 80).protocol, Protocol::kGrpc);
  EXPECT_TRUE(snapshot.TraitsOf(*pod, 3306).no_sniff_wait);
  EXPECT_EQ(snapshot.TraitsOf(*pod, 1), PortTraits());
}

TEST(SnapshotTest, WhereAPodIsReadyDeclaresBeforeWhereItIsNot) {
  Snapshot snapshot;
  auto pod = std::make_shared<Workload>();
  pod->uid = pod->name = "a";
  pod->ips = {*base::IpAddress::Parse("10.0.0.1")};
  snapshot.workloads = {pod};
  const auto serve = [&](const char* name, Protocol protocol, bool ready) {
    auto service = std::make_shared<Service>();
    service->name = name;
    ServicePort port;
    port.protocol = protocol;
    (ready ? port.ready : port.unready).push_back({{pod->ips[0], 80}, pod});
    service->ports.push_back(std::move(port));
    snapshot.services.push_back(service);
  };
  serve("not", Protocol::kTcp, false);
  snapshot.Finish();
  EXPECT_EQ(snapshot.TraitsOf(*pod, 80).protocol, Protocol::kTcp);
  serve("ready", Protocol::kHttp, true);
  snapshot.Finish();
  EXPECT_EQ(snapshot.TraitsOf(*pod, 80).protocol, Protocol::kHttp);
  EXPECT_EQ(snapshot.FindServed(*pod, 80).service->name, "ready");
}

TEST(SnapshotTest, OrdersPoliciesByAgeThenNameThenNamespace) {
  Snapshot snapshot;
  const auto policy = [](const char* name, const char* ns, int64_t created) {
    PeerAuthentication result;
    result.name = name;
    result.name_space = ns;
    result.created = created;
    return result;
  };
  snapshot.peer_authentications = {policy("b", "x", 5), policy("a", "y", 5),
                                   policy("a", "x", 5), policy("z", "x", 1)};
  snapshot.Finish();
  std::string order;
  for (const auto& each : snapshot.peer_authentications) {
    order += each.QualifiedName() + " ";
  }
  EXPECT_EQ(order, "x/z x/a y/a x/b ");
  EXPECT_EQ(snapshot.authentication_scopes.at("x").whole.size(), 3u);
}

TEST(SnapshotTest, FinishingTwiceIsFinishingOnce) {
  Snapshot snapshot;
  snapshot.workloads = {Pod("a", {"10.0.0.1"})};
  snapshot.peer_authentications.resize(2);
  snapshot.closing_policies.resize(1);
  snapshot.Finish();
  snapshot.Finish();
  EXPECT_EQ(snapshot.authentication_scopes.at("").whole.size(), 2u);
  EXPECT_EQ(snapshot.closing_scopes.at("").size(), 1u);
  EXPECT_TRUE(snapshot.conflicting_ips.empty());
}

TEST(ProblemTest, ReadsLikeACompilersError) {
  EXPECT_EQ((Problem{"a.yaml", 12, "Pod ns/a", "broken", false}.ToString()),
            "a.yaml:12: Pod ns/a: broken");
  EXPECT_EQ((Problem{"a.yaml", 0, "", "broken", false}.ToString()),
            "a.yaml: broken");
  EXPECT_EQ((Problem{"", 0, "", "broken", false}.ToString()), "broken");
}

}  // namespace
}  // namespace nodeward::model
