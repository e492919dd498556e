// SPDX-License-Identifier: Apache-2.0
#include "kube/mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/text.h"

namespace nodeward::kube {
namespace {

using model::Membership;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class MirrorTest : public testing::Test {
 protected:
  MirrorTest() : mirror_({.directory = ""}, "node-a") {
    Put("Namespace", R"({"metadata":{"name":"mesh","labels":)"
                     R"({"nodeward.io/mesh":"enabled"}}})");
  }

  // The sink of a kind; of pods, that of this node's.
  ObjectSink* SinkOf(const std::string& kind, bool own = true) {
    for (const Mirror::Followed& followed : mirror_.Wanted()) {
      const bool others =
          followed.resource.field_selector.find("!=") != std::string::npos;
      if (followed.resource.kind == kind && others != own) {
        return followed.sink;
      }
    }
    ADD_FAILURE() << kind;
    return nullptr;
  }
  void Put(const std::string& kind, const std::string& text, bool own = true) {
    const auto object = base::ParseJson(text);
    ASSERT_TRUE(object.ok()) << text;
    SinkOf(kind, own)->Put(*object);
  }
  static std::string Pod(const std::string& name, const std::string& uid,
                         const std::string& ip,
                         const std::string& annotations = "",
                         const std::string& spec = "") {
    return base::StrCat(
        R"({"metadata":{"namespace":"mesh","name":")", name, R"(","uid":")",
        uid, R"(","annotations":{)", annotations,
        R"(}},"spec":{"nodeName":"n","serviceAccountName":"app",)"
        R"("containers":[{"name":"c","livenessProbe":)"
        R"({"tcpSocket":{"port":81}}}])",
        spec, R"(},"status":{"phase":"Running","podIPs":[)",
        ip.empty() ? "" : base::StrCat(R"({"ip":")", ip, R"("})"), "]}}");
  }
  const model::Workload& Only(const model::SnapshotPtr& snapshot) {
    EXPECT_EQ(snapshot->workloads.size(), 1);
    last_ = snapshot;
    return *snapshot->workloads.at(0);
  }

  static constexpr char kMarkText[] =
      R"("ambient.istio.io/redirection":"enabled")";
  Mirror mirror_;
  model::SnapshotPtr last_;  // of Only
};

TEST_F(MirrorTest, FollowsWhatTheMeshNeeds) {
  std::vector<std::string> paths;
  for (const Mirror::Followed& followed : mirror_.Wanted()) {
    paths.push_back(followed.resource.paths.front() +
                    followed.resource.field_selector);
  }
  EXPECT_THAT(
      paths, ElementsAre(
                 "/api/v1/namespaces", "/api/v1/podsspec.nodeName=node-a",
                 "/api/v1/podsspec.nodeName!=node-a,spec.nodeName!=",
                 "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices",
                 "/apis/security.istio.io/v1/peerauthentications",
                 "/apis/security.istio.io/v1/authorizationpolicies",
                 "/apis/networking.istio.io/v1/destinationrules",
                 "/apis/networking.istio.io/v1/serviceentries",
                 "/apis/networking.k8s.io/v1/networkpolicies"));
}

TEST_F(MirrorTest, NetworkPoliciesAreKnownButNotWaitedFor) {
  Put("NetworkPolicy", R"({"metadata":{"namespace":"mesh","name":"deny"},)"
                       R"("spec":{"podSelector":{}}})");
  const auto snapshot = mirror_.Build();
  EXPECT_TRUE(snapshot->problems.empty());
  ASSERT_EQ(snapshot->network_policies.size(), 1);
  EXPECT_EQ(snapshot->network_policies[0]->QualifiedName(), "mesh/deny");
  EXPECT_TRUE(snapshot->network_policies[0]->ingress.has_value());
  for (const Mirror::Followed& followed : mirror_.Wanted()) {
    EXPECT_EQ(followed.resource.advisory,
              followed.resource.kind == "NetworkPolicy");
  }
}

TEST_F(MirrorTest, OwnPodsHaveTheNamespaceTheirSandboxHas) {
  Put("Pod", Pod("a", "u1", "10.0.0.1", R"("nodeward.io/netns":"/run/x")"));
  auto snapshot = mirror_.Build();
  EXPECT_EQ(Only(snapshot).netns_path, "");
  EXPECT_EQ(Only(snapshot).membership, Membership::kEnabled);
  ASSERT_EQ(snapshot->problems.size(), 1);
  EXPECT_EQ(snapshot->problems.at(0).ToString(),
            "Kubernetes API: Pod mesh/a: /metadata/annotations/"
            "nodeward.io~1netns: has no effect: the container runtime tells "
            "the namespace");
  EXPECT_THAT(mirror_.SandboxedPods(), ElementsAre("u1"));
  EXPECT_FALSE(mirror_.changed());
  mirror_.SetSandboxes({{"u1", {"/netns/1", {}}}, {"u2", {"/netns/2", {}}}});
  EXPECT_TRUE(mirror_.changed());
  snapshot = mirror_.Build();
  EXPECT_EQ(Only(snapshot).netns_path, "/netns/1");
  EXPECT_THAT(*Only(snapshot).probe_ports, ElementsAre(81));
  // A change of the object keeps it.
  Put("Pod", Pod("a", "u1", "10.0.0.2"));
  snapshot = mirror_.Build();
  EXPECT_EQ(Only(snapshot).netns_path, "/netns/1");
  EXPECT_EQ(Only(snapshot).ips.at(0).ToString(), "10.0.0.2");
}

TEST_F(MirrorTest, TheRuntimeKnowsAddressesFirst) {
  const auto ip = *base::IpAddress::Parse("10.0.0.7");
  const auto other = *base::IpAddress::Parse("10.0.0.8");
  Put("Pod", Pod("a", "u1", ""));
  mirror_.SetSandboxes({{"u1", {"/netns/1", {ip}}}});
  EXPECT_THAT(Only(mirror_.Build()).ips, ElementsAre(ip));
  mirror_.SetSandboxes({{"u1", {"/netns/2", {other}}}});
  EXPECT_THAT(Only(mirror_.Build()).ips, ElementsAre(other));
  EXPECT_EQ(Only(mirror_.Build()).netns_path, "/netns/2");
}

TEST_F(MirrorTest, AHostNetworkPodHasNoneOfItsOwn) {
  Put("Pod", Pod("a", "u1", "10.0.0.1", "", R"(,"hostNetwork":true)"));
  mirror_.SetSandboxes({{"u1", {"/netns/1", {}}}});
  EXPECT_EQ(Only(mirror_.Build()).netns_path, "");
  EXPECT_THAT(mirror_.SandboxedPods(), IsEmpty());
}

TEST_F(MirrorTest, AHeartbeatIsNoNews) {
  Put("Pod", Pod("a", "u1", "10.0.0.1"));
  const auto before = mirror_.Build();
  Put("Pod", Pod("a", "u1", "10.0.0.1", R"("some.thing/else":"x")"));
  EXPECT_FALSE(mirror_.changed());
  EXPECT_EQ(&Only(mirror_.Build()), &Only(before));
}

TEST_F(MirrorTest, AnotherNodesPodIsOfTheMeshOnceItIsMarked) {
  Put("Pod", Pod("b", "u1", "10.0.0.1"), false);
  EXPECT_EQ(Only(mirror_.Build()).membership, Membership::kNotEnrolled);
  Put("Pod", Pod("b", "u1", "10.0.0.1", kMarkText), false);
  EXPECT_EQ(Only(mirror_.Build()).membership, Membership::kEnabled);
  // Whoever takes the mark away does not take the pod out of the mesh.
  Put("Pod", Pod("b", "u1", "10.0.0.1"), false);
  EXPECT_FALSE(mirror_.changed());
  Put("Pod", Pod("b", "u1", "10.0.0.2"), false);
  Put("Pod", Pod("b", "u1", "10.0.0.3"), false);
  EXPECT_EQ(Only(mirror_.Build()).membership, Membership::kEnabled);
  // The end of its opt-in does, and its own.
  Put("Namespace", R"({"metadata":{"name":"mesh"}})");
  EXPECT_EQ(Only(mirror_.Build()).membership, Membership::kNotOptedIn);
  Put("Pod", Pod("b", "u1", "10.0.0.4"), false);
  Put("Namespace", R"({"metadata":{"name":"mesh","labels":)"
                   R"({"istio.io/dataplane-mode":"ambient"}}})");
  EXPECT_EQ(Only(mirror_.Build()).membership, Membership::kNotEnrolled);
  Put("Pod", Pod("b", "u1", "10.0.0.4", kMarkText), false);
  (void)mirror_.Build();
  Put("Pod", Pod("b", "u2", "10.0.0.4"), false);
  EXPECT_EQ(Only(mirror_.Build()).membership, Membership::kNotEnrolled);
}

TEST_F(MirrorTest, AMarkIsNoOptIn) {
  Put("Namespace", R"({"metadata":{"name":"mesh"}})");
  Put("Pod", Pod("b", "u1", "10.0.0.1", kMarkText), false);
  EXPECT_EQ(Only(mirror_.Build()).membership, Membership::kNotOptedIn);
}

TEST_F(MirrorTest, OfOtherNodesPodsLittleIsKept) {
  Put("Pod", Pod("b", "u1", "10.0.0.1", R"("nodeward.io/netns":"/run/x")"),
      false);
  const auto snapshot = mirror_.Build();
  EXPECT_EQ(Only(snapshot).netns_path, "");
  EXPECT_THAT(*Only(snapshot).probe_ports, IsEmpty());
  EXPECT_EQ(Only(snapshot).identity->service_account, "app");
  EXPECT_THAT(mirror_.own_pods(), IsEmpty());
}

TEST_F(MirrorTest, TellsWhichOwnPodsAreMarkedByUs) {
  Put("Pod", Pod("a", "u1", "10.0.0.1", kMarkText));
  Put("Pod",
      Pod("b", "u2", "10.0.0.2",
          base::StrCat(kMarkText, R"(,"nodeward.io/redirection":"enabled")")));
  EXPECT_THAT(mirror_.own_pods(),
              ElementsAre(Pair("u1", Mirror::OwnPod{"mesh", "a", false}),
                          Pair("u2", Mirror::OwnPod{"mesh", "b", true})));
  Put("Pod", Pod("b", "u3", "10.0.0.2"));
  SinkOf("Pod")->Remove("mesh/a");
  EXPECT_THAT(mirror_.own_pods(),
              ElementsAre(Pair("u3", Mirror::OwnPod{"mesh", "b", false})));
  EXPECT_EQ(mirror_.Build()->workloads.size(), 1);
}

TEST_F(MirrorTest, WhatWasNotToldOfIsGoneAndOnlyOfThatKind) {
  Put("Pod", Pod("a", "u1", "10.0.0.1"));
  Put("Pod", Pod("b", "u2", "10.0.0.2"));
  Put("Pod", Pod("c", "u3", "10.0.0.3"), false);
  SinkOf("Pod")->Synced({"mesh/b"});
  std::vector<std::string> names;
  const auto snapshot = mirror_.Build();
  for (const auto& workload : snapshot->workloads) {
    names.push_back(workload->name);
  }
  EXPECT_THAT(names, ElementsAre("b", "c"));
  EXPECT_EQ(mirror_.own_pods().size(), 1);
}

TEST_F(MirrorTest, ABrokenPolicyClosesAsItDoesInAFile) {
  Put("PeerAuthentication",
      R"({"apiVersion":"security.istio.io/v1","metadata":)"
      R"({"namespace":"mesh","name":"p"},"spec":{"mtls":{"mode":"LAX"}}})");
  const auto snapshot = mirror_.Build();
  EXPECT_EQ(snapshot->closing_policies.size(), 1);
  ASSERT_EQ(snapshot->problems.size(), 1);
  EXPECT_THAT(snapshot->problems.at(0).ToString(),
              HasSubstr("Kubernetes API: PeerAuthentication mesh/p: /spec"));
}

TEST_F(MirrorTest, ItemsOfAListNameNoKind) {
  Put("EndpointSlice",
      R"({"metadata":{"namespace":"mesh","name":"s-1","labels":)"
      R"({"kubernetes.io/service-name":"s"}},"addressType":"IPv4",)"
      R"("ports":[{"name":"http","port":80}],)"
      R"("endpoints":[{"addresses":["10.0.0.1"]}]})");
  Put("Service", R"({"metadata":{"namespace":"mesh","name":"s"},"spec":)"
                 R"({"clusterIP":"10.96.0.5","ports":)"
                 R"([{"name":"http","port":8000}]}})");
  const auto snapshot = mirror_.Build();
  ASSERT_EQ(snapshot->services.size(), 1);
  ASSERT_EQ(snapshot->services.at(0)->ports.at(0).ready.size(), 1);
  EXPECT_THAT(snapshot->ignored_kinds, IsEmpty());
}

}  // namespace
}  // namespace nodeward::kube
