// SPDX-License-Identifier: Apache-2.0
#include "discovery/pod.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Pod Read(Document* document) {
  const Metadata metadata = ReadMetadata(document->root());
  return ReadPod(document->root(), metadata, "cluster.local");
}

Pod ReadGood(std::string_view text) {
  Document document(text);
  Pod pod = Read(&document);
  EXPECT_EQ(document.Findings(), "");
  return pod;
}

constexpr std::string_view kHttpbin = R"(
apiVersion: v1
kind: Pod
metadata:
  name: httpbin-5d9f7c-x2x4z
  namespace: mtls-test
  uid: 1234
  labels: {app: httpbin, version: v1, pod-template-hash: 5d9f7c}
  annotations: {nodeward.io/netns: /run/netns/httpbin}
  ownerReferences:
  - {apiVersion: apps/v1, kind: ReplicaSet, name: httpbin-5d9f7c, controller: true}
spec:
  nodeName: node-a
  serviceAccountName: httpbin
  containers:
  - name: httpbin
    ports:
    - {name: http, containerPort: 80}
    - {name: dns, containerPort: 53, protocol: UDP}
    livenessProbe: {httpGet: {path: /headers, port: http}}
    readinessProbe: {tcpSocket: {port: 8081}}
    startupProbe: {grpc: {port: 9000}}
    lifecycle:
      postStart: {httpGet: {port: "8082"}}
      preStop: {tcpSocket: {port: 80}}
status:
  phase: Running
  podIP: 10.0.0.1
  podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]
  conditions:
  - {type: Initialized, status: "True"}
  - {type: Ready, status: "False"}
)";

TEST(PodTest, ReadsAWholePod) {
  std::string text(kHttpbin);
  text.replace(text.find("uid: 1234"), 9, "uid: u-1");
  const Pod pod = ReadGood(text);
  const model::Workload& workload = *pod.workload;
  EXPECT_EQ(workload.uid, "u-1");
  EXPECT_EQ(workload.name, "httpbin-5d9f7c-x2x4z");
  EXPECT_EQ(workload.name_space, "mtls-test");
  EXPECT_EQ(workload.node, "node-a");
  EXPECT_EQ(workload.identity->ToSpiffe(),
            "spiffe://cluster.local/ns/mtls-test/sa/httpbin");
  ASSERT_EQ(workload.ips.size(), 2u);
  EXPECT_EQ(workload.ips[0].ToString(), "10.0.0.1");
  EXPECT_EQ(workload.ips[1].ToString(), "fd00::1");
  EXPECT_EQ(workload.netns_path, "/run/netns/httpbin");
  EXPECT_EQ(workload.workload_name, "httpbin");
  EXPECT_EQ(workload.canonical_service, "httpbin");
  EXPECT_EQ(workload.canonical_revision, "v1");
  EXPECT_EQ(workload.app, "httpbin");
  EXPECT_EQ(workload.version, "v1");
  EXPECT_FALSE(workload.ready);
  ASSERT_EQ(workload.ports->size(), 1u);
  EXPECT_EQ(workload.ports->front().traits.protocol, model::Protocol::kHttp);
  EXPECT_THAT(*workload.probe_ports,
              UnorderedElementsAre(80, 8081, 9000, 8082));
  EXPECT_EQ(pod.ended, "");
  EXPECT_EQ(pod.sidecar, "");
}

TEST(PodTest, FillsInWhatIsNotSaid) {
  const Pod pod =
      ReadGood("metadata: {name: sleep}\nstatus: {podIP: 10.0.0.2}\n");
  EXPECT_EQ(pod.workload->name_space, "default");
  EXPECT_EQ(pod.workload->identity->service_account, "default");
  EXPECT_EQ(pod.workload->uid, "default/sleep/10.0.0.2");
  EXPECT_TRUE(pod.workload->ready);
  EXPECT_EQ(pod.workload->workload_name, "sleep");
  EXPECT_EQ(pod.workload->canonical_service, "sleep");
  EXPECT_EQ(pod.workload->canonical_revision, "latest");
  EXPECT_THAT(*pod.workload->probe_ports, IsEmpty());
  EXPECT_FALSE(pod.host_network);
}

TEST(PodTest, ConditionsWithoutReadyMeanReady) {
  EXPECT_TRUE(ReadGood("metadata: {name: a}\nstatus: {conditions: "
                       "[{type: Initialized, status: 'False'}]}\n")
                  .workload->ready);
  EXPECT_FALSE(ReadGood("metadata: {name: a}\nstatus: {conditions: "
                        "[{type: Ready, status: Unknown}]}\n")
                   .workload->ready);
}

TEST(PodTest, EndedPods) {
  const auto ended = [](const char* extra) {
    return ReadGood(std::string("metadata: {name: a") + extra).ended;
  };
  EXPECT_EQ(ended("}\nstatus: {phase: Succeeded}"), "phase Succeeded");
  EXPECT_EQ(ended("}\nstatus: {phase: Failed}"), "phase Failed");
  EXPECT_EQ(ended("}\nstatus: {phase: Running}"), "");
  EXPECT_EQ(ended("}\nstatus: {phase: Pending}"), "");
  EXPECT_EQ(ended(", deletionTimestamp: 2024-01-01T00:00:00Z}"),
            "being deleted");
}

TEST(PodTest, RecognisesSidecars) {
  EXPECT_NE(ReadGood("metadata: {name: a, annotations: "
                     "{sidecar.istio.io/status: '{}'}}\nspec: {containers: "
                     "[{name: app}, {name: istio-proxy}]}")
                .sidecar,
            "");
  EXPECT_NE(ReadGood("metadata: {name: a}\nspec: {containers: "
                     "[{name: app}, {name: istio-proxy}]}")
                .sidecar,
            "");
  EXPECT_NE(ReadGood("metadata: {name: a}\nspec: {initContainers: "
                     "[{name: istio-proxy, restartPolicy: Always}]}")
                .sidecar,
            "");
  EXPECT_EQ(ReadGood("metadata: {name: a}\nspec: {initContainers: "
                     "[{name: istio-init}]}")
                .sidecar,
            "");
}

// A template may say anything.
TEST(PodTest, AnAnnotationAloneIsNoSidecar) {
  Document document(
      "metadata: {name: a, annotations: {sidecar.istio.io/status: '{}'}}\n"
      "spec: {containers: [{name: app}]}");
  EXPECT_EQ(Read(&document).sidecar, "");
  EXPECT_EQ(document.Findings(),
            "/metadata/annotations/sidecar.istio.io~1status: has no effect: "
            "the pod has no container istio-proxy\n");
}

// The kubelet asks another host then, so nothing here is exempt.
TEST(PodTest, AProbeOfAnotherHostIsNone) {
  EXPECT_THAT(*ReadGood("metadata: {name: a}\nspec: {containers: [{name: c, "
                        "livenessProbe: {httpGet: {host: 1.2.3.4, port: 80}}}]}"
                        "\nstatus: {podIP: 10.0.0.1}")
                   .workload->probe_ports,
              IsEmpty());
  EXPECT_THAT(
      *ReadGood("metadata: {name: a}\nspec: {containers: [{name: c, "
                "livenessProbe: {httpGet: {host: 10.0.0.1, port: 80}}}]}"
                "\nstatus: {podIP: 10.0.0.1}")
           .workload->probe_ports,
      ElementsAre(80));
}

TEST(PodTest, NamedProbePortsAreThoseOfTheirContainer) {
  Document document(
      "metadata: {name: a}\nspec:\n  containers:\n"
      "  - {name: c, ports: [{name: http, containerPort: 80}]}\n"
      "  - {name: d, ports: [{name: http, containerPort: 81}],\n"
      "     livenessProbe: {httpGet: {port: http}},\n"
      "     readinessProbe: {httpGet: {port: metrics}}}\n");
  const Pod pod = Read(&document);
  EXPECT_THAT(*pod.workload->probe_ports, ElementsAre(81));
  EXPECT_EQ(document.Findings(),
            "/spec/containers/1/readinessProbe/httpGet/port: the container has "
            "no port named 'metrics'\n");
  EXPECT_EQ(document.worst(), Severity::kPartial);
}

TEST(PodTest, ABrokenPortIsLeftOut) {
  Document document(
      "metadata: {name: a}\nspec:\n  containers:\n"
      "  - {name: c, ports: [{containerPort: eighty}, {containerPort: 81}]}\n");
  const Pod pod = Read(&document);
  ASSERT_EQ(pod.workload->ports->size(), 1u);
  EXPECT_EQ(pod.workload->ports->front().port, 81);
  EXPECT_EQ(document.Findings(),
            "/spec/containers/0/ports/0/containerPort: must be an integer\n");
  EXPECT_EQ(document.worst(), Severity::kPartial);
}

TEST(PodTest, WhatDecidesOnTrustMustBeReadable) {
  for (const char* text :
       {"metadata: {name: a, labels: {x: 1}}",
        "metadata: {name: a, labels: []}", "metadata: {}",
        "metadata: {name: A_B}", "metadata: {name: a, namespace: X}",
        "metadata: x",
        "metadata: {name: a}\nspec: {serviceAccountName: a/sa/b}",
        "metadata: {name: a}\nspec: {hostNetwork: 'yes'}",
        "metadata: {name: a}\nspec: {nodeName: 5}",
        "metadata: {name: a}\nstatus: {podIP: x}",
        "metadata: {name: a}\nstatus: {podIPs: [{ip: 5}]}",
        "metadata: {name: a}\nstatus: {podIPs: [10.0.0.1]}",
        "metadata: {name: a}\nstatus: {podIP: 127.0.0.1}",
        "metadata: {name: a}\nstatus: {phase: 5}",
        "metadata: {name: a}\nspec: {containers: {name: x}}",
        "metadata: {name: a, annotations: {x: 5}}"}) {
    Document document(text);
    Read(&document);
    EXPECT_EQ(document.worst(), Severity::kFatal) << text;
    EXPECT_NE(document.Findings(), "") << text;
  }
}

TEST(PodTest, ANetnsMustBeAPath) {
  Document document(
      "metadata: {name: a, annotations: {nodeward.io/netns: netns-a}}");
  EXPECT_EQ(Read(&document).workload->netns_path, "");
  EXPECT_THAT(document.Findings(), HasSubstr("must be an absolute path"));
  EXPECT_EQ(document.worst(), Severity::kPartial);
}

TEST(PodTest, NamesTheWorkloadByItsOwner) {
  struct Row {
    const char* owners;
    const char* hash;
    const char* name;
  };
  const Row rows[] = {
      {"[]", "", "pod-x"},
      {"[{kind: ReplicaSet, name: httpbin-5d9f7c}]", "", "httpbin"},
      {"[{kind: ReplicaSet, name: web-api-5d9f7c}]", "", "web-api"},
      {"[{kind: ReplicaSet, name: httpbin-latest}]", "", "httpbin-latest"},
      {"[{kind: ReplicaSet, name: httpbin-5d9f7c}]", "other", "httpbin-5d9f7c"},
      {"[{kind: ReplicaSet, name: httpbin-abc}]", "abc", "httpbin"},
      {"[{kind: ReplicaSet, name: bare}]", "", "bare"},
      {"[{kind: StatefulSet, name: mongo}]", "", "mongo"},
      {"[{kind: DaemonSet, name: agent-2}]", "", "agent-2"},
      {"[{kind: Job, name: import}]", "", "import"},
      {"[{kind: Job, name: nightly-28452345}]", "", "nightly"},
      {"[{kind: Job, name: step-2}]", "", "step-2"},
      {"[{kind: Node, name: n}, {kind: StatefulSet, name: db, controller: "
       "true}]",
       "", "db"},
  };
  for (const Row& row : rows) {
    Document document(row.owners);
    Metadata metadata;
    metadata.name = "pod-x";
    if (*row.hash) metadata.labels["pod-template-hash"] = row.hash;
    EXPECT_EQ(WorkloadName(document.root(), metadata), row.name) << row.owners;
    EXPECT_EQ(document.Findings(), "");
  }
}

TEST(PodTest, IstiosLabelsNameTheCanonicalService) {
  const Pod pod = ReadGood(
      "metadata:\n  name: a\n  labels:\n    app: x\n"
      "    app.kubernetes.io/name: y\n"
      "    app.kubernetes.io/version: v2\n    version: v3\n"
      "    service.istio.io/canonical-name: z\n"
      "    service.istio.io/canonical-revision: v1\n");
  EXPECT_EQ(pod.workload->canonical_service, "z");
  EXPECT_EQ(pod.workload->canonical_revision, "v1");
  EXPECT_EQ(pod.workload->app, "x");
  EXPECT_EQ(pod.workload->version, "v3");
}

}  // namespace
}  // namespace nodeward::discovery
