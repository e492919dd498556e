// SPDX-License-Identifier: Apache-2.0
#include "discovery/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/text.h"

namespace nodeward::discovery {
namespace {

using model::Membership;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CatalogTest : public ::testing::Test {
 protected:
  CatalogTest() : catalog_(ManifestOptions{}) {}

  model::SnapshotPtr Put(const std::string& file, std::string_view text) {
    catalog_.Put(file, ReadManifest(file, text, catalog_.Find(file), {}));
    return catalog_.Build({});
  }

  static std::string Namespace(const char* name, const char* mesh) {
    return base::StrCat(
        "---\napiVersion: v1\nkind: Namespace\nmetadata:\n"
        "  name: ",
        name, "\n  labels: {nodeward.io/mesh: ", mesh, "}\n");
  }

  static std::string Pod(const char* ns, const std::string& name,
                         const std::string& ip, const char* extra_status = "",
                         const char* extra_spec = "") {
    return base::StrCat(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {name: ", name,
        ", namespace: ", ns, ", labels: {app: ", name.substr(0, 1),
        "}}\nspec:\n  containers:\n"
        "  - {name: c, ports: [{name: web, containerPort: 80}]}\n",
        extra_spec, "status:\n  podIP: ", ip, "\n", extra_status);
  }

  static std::string Service(const char* name, const char* ip,
                             const char* target, const char* extra = "") {
    return base::StrCat(
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: ", name,
        ", namespace: n}\nspec:\n  clusterIP: ", ip,
        "\n  selector: {app: a}\n  ports: [{name: http, port: 8000, "
        "targetPort: ",
        target, "}]\n", extra);
  }

  static std::vector<std::string> Ready(const model::Service& service) {
    std::vector<std::string> ready;
    for (const auto& endpoint : service.ports.at(0).ready) {
      ready.push_back(endpoint.address.ToString());
    }
    return ready;
  }

  static std::vector<std::string> Problems(const model::Snapshot& snapshot) {
    std::vector<std::string> texts;
    for (const auto& problem : snapshot.problems) {
      texts.push_back(problem.ToString());
    }
    return texts;
  }

  Catalog catalog_;
};

TEST_F(CatalogTest, NetworkPoliciesAndWhatTheySelectBy) {
  const auto policy = [](const char* name_space, const char* name) {
    return base::StrCat(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
        "metadata: {name: ",
        name, ", namespace: ", name_space, "}\nspec: {podSelector: {}}\n");
  };
  Put("b.yaml", policy("n", "b") + policy("m", "z"));
  const auto snapshot =
      Put("a.yaml", Namespace("n", "enabled") + policy("n", "a"));
  EXPECT_THAT(Problems(*snapshot), IsEmpty());
  std::vector<std::string> names;
  for (const auto& each : snapshot->network_policies) {
    names.push_back(each->QualifiedName());
  }
  EXPECT_THAT(names, ElementsAre("m/z", "n/a", "n/b"));
  EXPECT_EQ(snapshot->namespace_labels.at("n"),
            (model::Labels{{"nodeward.io/mesh", "enabled"}}));
}

TEST_F(CatalogTest, PutsFilesTogether) {
  Put("b.yaml", Pod("full", "sleep", "10.0.0.2") +
                    Pod("legacy", "sleep", "10.0.0.3") +
                    Pod("full", "another", "10.0.0.4"));
  const auto snapshot = Put("a.yaml", Namespace("full", "enabled"));
  ASSERT_EQ(snapshot->workloads.size(), 3u);
  EXPECT_EQ(snapshot->workloads[0]->name, "another");
  EXPECT_TRUE(snapshot->workloads[1]->in_mesh());
  EXPECT_EQ(snapshot->workloads[1]->membership_reason,
            "namespace label nodeward.io/mesh=enabled");
  EXPECT_FALSE(snapshot->workloads[2]->in_mesh());
  EXPECT_EQ(snapshot->FindWorkload(*base::IpAddress::Parse("10.0.0.2")),
            snapshot->workloads[1].get());
  EXPECT_EQ(snapshot->trust_domain, "cluster.local");
  EXPECT_THAT(Problems(*snapshot), IsEmpty());
}

TEST_F(CatalogTest, RevisionsGrow) {
  const auto first = Put("a.yaml", "");
  const auto second = Put("a.yaml", "");
  EXPECT_LT(first->revision, second->revision);
}

TEST_F(CatalogTest, OptInIsLiveInBothDirections) {
  Put("ns.yaml", Namespace("n", "disabled"));
  auto snapshot = Put("pod.yaml", Pod("n", "a", "10.0.0.1"));
  EXPECT_EQ(snapshot->workloads[0]->membership, Membership::kNotOptedIn);
  snapshot = Put("ns.yaml", Namespace("n", "enabled"));
  EXPECT_EQ(snapshot->workloads[0]->membership, Membership::kEnabled);
  catalog_.Remove("ns.yaml");
  snapshot = catalog_.Build({});
  EXPECT_EQ(snapshot->workloads[0]->membership, Membership::kNotOptedIn);
}

TEST_F(CatalogTest, UnchangedWorkloadsKeepTheirAddress) {
  Put("ns.yaml", Namespace("n", "enabled"));
  const auto before =
      Put("pods.yaml", Pod("n", "a", "10.0.0.1") + Pod("n", "b", "10.0.0.2"));
  auto after =
      Put("pods.yaml", Pod("n", "a", "10.0.0.1") + Pod("n", "b", "10.0.0.3"));
  EXPECT_EQ(before->workloads[0], after->workloads[0]);
  EXPECT_NE(before->workloads[1], after->workloads[1]);
  // Another Namespace object that says the same.
  const auto again = Put("ns.yaml", Namespace("n", "enabled") + "# x\n");
  EXPECT_EQ(after->workloads[0], again->workloads[0]);
  // And one that says the same to one of them only.
  const auto renamed = Put("ns.yaml", Namespace("n", "required"));
  EXPECT_NE(after->workloads[0], renamed->workloads[0]);
}

TEST_F(CatalogTest, OfTwoObjectsOfANameTheFirstFilesCounts) {
  Put("b.yaml", Pod("n", "a", "10.0.0.2"));
  const auto snapshot = Put("a.yaml", "# x\n" + Pod("n", "a", "10.0.0.1"));
  ASSERT_EQ(snapshot->workloads.size(), 1u);
  EXPECT_EQ(snapshot->workloads[0]->ips[0].ToString(), "10.0.0.1");
  EXPECT_THAT(Problems(*snapshot),
              ElementsAre("b.yaml:2: Pod n/a: is not used: a.yaml:3 has an "
                          "object of that name already"));
  catalog_.Remove("a.yaml");
  EXPECT_EQ(catalog_.Build({})->workloads[0]->ips[0].ToString(), "10.0.0.2");
}

TEST_F(CatalogTest, TwoLivePodsWithOneAddressAreBothRefused) {
  Put("ns.yaml", Namespace("n", "enabled"));
  auto snapshot = Put("pods.yaml", Pod("n", "a", "10.0.0.1") +
                                       Pod("legacy", "b", "10.0.0.1") +
                                       Service("svc", "10.96.0.1", "80"));
  for (const auto& workload : snapshot->workloads) {
    EXPECT_EQ(workload->membership, Membership::kConflict);
  }
  // For as long as it lasts; the one that was opted in stays captured.
  EXPECT_FALSE(snapshot->workloads[0]->opted_in);
  EXPECT_TRUE(snapshot->workloads[1]->opted_in);
  EXPECT_TRUE(
      snapshot->conflicting_ips.contains(*base::IpAddress::Parse("10.0.0.1")));
  EXPECT_THAT(Ready(*snapshot->services[0]), IsEmpty());
  EXPECT_THAT(Problems(*snapshot),
              ElementsAre(HasSubstr("10.0.0.1 is claimed by Pod"),
                          HasSubstr("10.0.0.1 is claimed by Pod")));
  // Addresses of the dead and of the node are nobody's.
  snapshot = Put("pods.yaml",
                 Pod("n", "a", "10.0.0.1") +
                     Pod("legacy", "b", "10.0.0.1", "  phase: Failed\n") +
                     Pod("n", "h", "10.0.0.1", "", "  hostNetwork: true\n"));
  EXPECT_THAT(Problems(*snapshot), IsEmpty());
  EXPECT_TRUE(snapshot->workloads[1]->in_mesh());
  EXPECT_TRUE(snapshot->conflicting_ips.empty());
}

TEST_F(CatalogTest, EndpointsFollowFromSelectorAndReadiness) {
  constexpr const char* kNotReady =
      "  conditions: [{type: Ready, status: 'False'}]\n";
  const std::string pods =
      Pod("n", "a1", "10.0.0.1") + Pod("n", "a2", "10.0.0.2", kNotReady) +
      Pod("n", "a3", "10.0.0.3", "  phase: Failed\n") +
      Pod("other", "a4", "10.0.0.4") + Pod("n", "b", "10.0.0.5") +
      Pod("n", "a5", "10.0.0.6") + Pod("n", "a6", "''");
  auto snapshot =
      Put("x.yaml", pods + Service("svc", "10.96.0.1", "80") +
                        Service("all", "10.96.0.2", "web",
                                "  publishNotReadyAddresses: true\n") +
                        Service("missing", "10.96.0.3", "nothing") +
                        Service("headless", "None", "80"));
  ASSERT_EQ(snapshot->services.size(), 4u);
  const auto& services = snapshot->services;
  EXPECT_EQ(services[0]->name, "all");
  EXPECT_THAT(Ready(*services[0]),
              ElementsAre("10.0.0.1:80", "10.0.0.2:80", "10.0.0.6:80"));
  EXPECT_EQ(services[1]->name, "headless");
  EXPECT_TRUE(services[1]->cluster_ips.empty());
  EXPECT_THAT(Ready(*services[1]), ElementsAre("10.0.0.1:80", "10.0.0.6:80"));
  EXPECT_THAT(Ready(*services[2]), IsEmpty());
  EXPECT_THAT(Ready(*services[3]), ElementsAre("10.0.0.1:80", "10.0.0.6:80"));
  EXPECT_EQ(services[3]->ports[0].ready[0].workload, snapshot->workloads[0]);
  EXPECT_EQ(snapshot->FindServed(*snapshot->workloads[0], 80).service,
            services[0].get());
}

TEST_F(CatalogTest, ServicesKnowTheirUnreadyEndpoints) {
  const std::string pods =
      Pod("n", "a1", "10.0.0.1",
          "  conditions: [{type: Ready, status: 'False'}]\n");
  const auto snapshot = Put("x.yaml", pods + Service("svc", "10.96.0.1", "80") +
                                          Service("zero", "None", "80"));
  ASSERT_EQ(snapshot->services[0]->ports[0].unready.size(), 1u);
  EXPECT_THAT(Ready(*snapshot->services[0]), IsEmpty());
  // What its ports declare holds before the pod is ready.
  EXPECT_EQ(snapshot->FindServed(*snapshot->workloads[0], 80).service,
            snapshot->services[0].get());
  ASSERT_EQ(snapshot->services[1]->ports[0].unready.size(), 1u);
  const auto found = snapshot->headless_by_endpoint.find(
      *base::Endpoint::Parse("10.0.0.1:80"));
  ASSERT_NE(found, snapshot->headless_by_endpoint.end());
  EXPECT_EQ(found->second.service, snapshot->services[1]);
  EXPECT_EQ(found->second.port, 8000);
}

TEST_F(CatalogTest, RulesAndFilesAreIndexed) {
  const auto snapshot =
      Put("x.yaml",
          "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
          "metadata: {name: r, namespace: n}\nspec: {host: svc, trafficPolicy: "
          "{tls: {mode: SIMPLE}}}\n---\napiVersion: v1\nkind: Secret\n"
          "metadata: {name: s, namespace: n}\nstringData: {a: b}\n" +
              Service("svc", "10.96.0.1", "80") +
              Service("other", "10.96.0.2", "80"));
  ASSERT_EQ(snapshot->destination_rules.size(), 1u);
  EXPECT_EQ(snapshot->file_sets.at({"Secret", "n", "s"})->files.at("a"), "b");
  EXPECT_FALSE(snapshot->IsSecuredByRule(*snapshot->services[0]));
  EXPECT_TRUE(snapshot->IsSecuredByRule(*snapshot->services[1]));
}

TEST_F(CatalogTest, ServiceEntriesAreServices) {
  const auto snapshot = Put(
      "x.yaml", Pod("n", "a1", "10.0.0.1") +
                    "---\napiVersion: networking.istio.io/v1\n"
                    "kind: ServiceEntry\nmetadata: {name: e, namespace: n}\n"
                    "spec: {hosts: [e.example], resolution: STATIC, ports: "
                    "[{number: 80, name: tcp}], endpoints: [{address: "
                    "10.0.0.1}, {address: 192.0.2.1}]}\n");
  ASSERT_EQ(snapshot->services.size(), 1u);
  EXPECT_EQ(snapshot->services[0]->Hostname(), "e.example");
  const auto& ready = snapshot->services[0]->ports[0].ready;
  ASSERT_EQ(ready.size(), 2u);
  EXPECT_EQ(ready[0].workload, snapshot->workloads[0]);
  EXPECT_EQ(ready[1].workload, nullptr);
}

TEST_F(CatalogTest, ANamespaceThatRequiresMutualTlsTellsItsPods) {
  auto snapshot = Put("x.yaml", Pod("n", "a", "10.0.0.1"));
  EXPECT_FALSE(snapshot->workloads[0]->requires_mtls);
  snapshot = Put("ns.yaml",
                 "apiVersion: v1\nkind: Namespace\nmetadata: {name: n, "
                 "labels: {nodeward.io/outbound: require-mtls}}\n");
  EXPECT_TRUE(snapshot->workloads[0]->requires_mtls);
}

TEST_F(CatalogTest, EndpointsAreOfTheServicesFamilies) {
  const std::string pods =
      "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: n, "
      "labels: {app: a}}\nstatus: {podIPs: [{ip: 'fd00::1'}, {ip: "
      "10.0.0.1}]}\n";
  const auto snapshot =
      Put("x.yaml", pods + Service("four", "10.96.0.1", "80") +
                        Service("six", "fd96::1", "80") +
                        Service("two", "10.96.0.2", "80",
                                "  clusterIPs: [10.96.0.2, 'fd96::2']\n"));
  EXPECT_THAT(Ready(*snapshot->services[0]), ElementsAre("10.0.0.1:80"));
  EXPECT_THAT(Ready(*snapshot->services[1]), ElementsAre("[fd00::1]:80"));
  EXPECT_THAT(Ready(*snapshot->services[2]),
              ElementsAre("10.0.0.1:80", "[fd00::1]:80"));
}

TEST_F(CatalogTest, SlicesDecideWhereThereAreAny) {
  const auto slice = [](const char* name, const char* endpoints) {
    return base::StrCat(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata: {name: ",
        name,
        ", namespace: n, labels: {kubernetes.io/service-name: svc}}\n"
        "addressType: IPv4\nports: [{name: http, port: 81}, {name: x, port: "
        "1}]\nendpoints: ",
        endpoints, "\n");
  };
  const std::string base = Pod("n", "a1", "10.0.0.1") +
                           Pod("n", "a2", "10.0.0.2", "  phase: Failed\n") +
                           Service("svc", "10.96.0.1", "80");
  auto snapshot =
      Put("x.yaml",
          base +
              slice("s1",
                    "[{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}, "
                    "{addresses: [192.0.2.1]}]") +
              slice("s2",
                    "[{addresses: [192.0.2.2], conditions: {ready: false}}, "
                    "{addresses: [192.0.2.3]}]"));
  EXPECT_THAT(Ready(*snapshot->services[0]),
              ElementsAre("10.0.0.1:81", "192.0.2.1:81", "192.0.2.3:81"));
  const auto& ready = snapshot->services[0]->ports[0].ready;
  EXPECT_EQ(ready[0].workload, snapshot->workloads[0]);
  EXPECT_EQ(ready[1].workload, nullptr);
  // Also if they name nobody.
  snapshot = Put("x.yaml", base + slice("s1", "[]"));
  EXPECT_THAT(Ready(*snapshot->services[0]), IsEmpty());
}

TEST_F(CatalogTest, AServiceWithoutSelectorHasNoEndpointsOfItsOwn) {
  const auto snapshot =
      Put("x.yaml", Pod("n", "a", "10.0.0.1") +
                        "---\napiVersion: v1\nkind: Service\nmetadata: {name: "
                        "s, namespace: n}\nspec: {clusterIP: 10.96.0.1, "
                        "ports: [{port: 80}]}\n");
  EXPECT_THAT(Ready(*snapshot->services[0]), IsEmpty());
}

TEST_F(CatalogTest, AVirtualAddressOfTwoServicesIsReported) {
  const auto snapshot = Put("x.yaml", Service("a", "10.96.0.1", "80") +
                                          Service("b", "10.96.0.1", "80"));
  EXPECT_THAT(Problems(*snapshot),
              ElementsAre(HasSubstr("Service n/b: /spec/clusterIP: 10.96.0.1 "
                                    "belongs to Service n/a")));
  EXPECT_EQ(snapshot->FindService(*base::IpAddress::Parse("10.96.0.1"))->name,
            "a");
}

std::string Policy(const char* name, const char* created, const char* rest) {
  return base::StrCat(
      "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
      "metadata: {name: ",
      name, ", namespace: n, creationTimestamp: ", created, "}\nspec: ", rest,
      "\n");
}

TEST_F(CatalogTest, ReportsPoliciesThatOlderOnesShadow) {
  const auto snapshot = Put(
      "x.yaml",
      Pod("n", "a", "10.0.0.1") + Pod("n", "b", "10.0.0.2") +
          Policy("young", "2024-01-02T00:00:00Z", "{mtls: {mode: STRICT}}") +
          Policy("old", "2024-01-01T00:00:00Z", "{}") +
          Policy("w1", "null", "{selector: {matchLabels: {app: a}}}") +
          Policy("w2", "null", "{selector: {matchLabels: {app: b}}}") +
          Policy("w3", "null", "{selector: {matchLabels: {app: b}}}"));
  EXPECT_EQ(snapshot->peer_authentications.size(), 5u);
  EXPECT_THAT(
      Problems(*snapshot),
      ElementsAre(
          HasSubstr(
              "PeerAuthentication n/young: has no effect: n/old is older"),
          HasSubstr("PeerAuthentication n/w3: has no effect on pod n/b: n/w2 "
                    "is older")));
}

TEST_F(CatalogTest, ClosingObjectsClose) {
  const auto snapshot =
      Put("x.yaml", Policy("p", "null", "{mtls: {mode: STRIKT}}"));
  ASSERT_EQ(snapshot->closing_policies.size(), 1u);
  EXPECT_EQ(snapshot->closing_policies[0].name, "p");
  ASSERT_EQ(snapshot->problems.size(), 1u);
  EXPECT_TRUE(snapshot->problems[0].closes);
  EXPECT_TRUE(snapshot->peer_authentications.empty());
}

TEST_F(CatalogTest, CountsKindsThatAreIgnored) {
  Put("a.yaml", "apiVersion: apps/v1\nkind: Deployment\n");
  const auto snapshot =
      Put("b.yaml", "apiVersion: apps/v1\nkind: Deployment\n");
  EXPECT_EQ(snapshot->ignored_kinds.at("Deployment"), 2);
}

TEST_F(CatalogTest, CarriesTheProblemsOfTheDirectory) {
  const auto snapshot = catalog_.Build({{"sub", 0, "", "barred", false}});
  EXPECT_THAT(Problems(*snapshot), ElementsAre("sub: barred"));
}

// A node's cluster may be large: one changed pod must not cost a new
// Workload for any other.
TEST_F(CatalogTest, TenThousandPodsAreShared) {
  for (int file = 0; file < 100; ++file) {
    std::string text;
    for (int i = 0; i < 100; ++i) {
      text += Pod(base::StrCat("ns-", file).c_str(), base::StrCat("a-", i),
                  base::StrCat("10.", file, ".0.", i + 1));
    }
    catalog_.Put(base::StrCat(file, ".yaml"),
                 ReadManifest("x.yaml", text, nullptr, {}));
  }
  const auto before = catalog_.Build({});
  ASSERT_EQ(before->workloads.size(), 10000u);
  const auto after = Put("z.yaml", Pod("zz", "new", "10.200.0.1"));
  ASSERT_EQ(after->workloads.size(), 10001u);
  for (size_t i = 0; i < before->workloads.size(); ++i) {
    ASSERT_EQ(before->workloads[i], after->workloads[i]);
  }
}

TEST_F(CatalogTest, RetainLooksAtFilesOfOnePrefix) {
  for (const char* file : {"a1", "b1", "b2", "c1"}) {
    catalog_.Put(file, {});
  }
  catalog_.Retain("b", [](const std::string& file) { return file == "b2"; });
  EXPECT_NE(catalog_.Find("a1"), nullptr);
  EXPECT_EQ(catalog_.Find("b1"), nullptr);
  EXPECT_NE(catalog_.Find("b2"), nullptr);
  EXPECT_NE(catalog_.Find("c1"), nullptr);
}

}  // namespace
}  // namespace nodeward::discovery
