// SPDX-License-Identifier: Apache-2.0
#include "discovery/opt_in.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/text.h"
#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

using model::Membership;
using ::testing::HasSubstr;
using Wish = OptIn::Wish;

struct ReadRow {
  const char* ours;  // null: no such label
  const char* istio;
  Wish on_pod;
  Wish on_namespace;
  const char* label;  // of the namespace's
  int notes;          // on the pod
};

std::shared_ptr<const model::Workload> In(const std::string& name_space) {
  auto workload = std::make_shared<model::Workload>();
  workload->name_space = name_space;
  return workload;
}

TEST(OptInTest, ReadsTheLabelsOfOneObject) {
  const ReadRow rows[] = {
      {nullptr, nullptr, Wish::kNone, Wish::kNone, "", 0},
      {"enabled", nullptr, Wish::kEnabled, Wish::kEnabled,
       "nodeward.io/mesh=enabled", 0},
      {"disabled", nullptr, Wish::kDisabled, Wish::kDisabled,
       "nodeward.io/mesh=disabled", 0},
      {"required", nullptr, Wish::kNone, Wish::kRequired,
       "nodeward.io/mesh=required", 1},
      {nullptr, "ambient", Wish::kEnabled, Wish::kEnabled,
       "istio.io/dataplane-mode=ambient", 0},
      {nullptr, "none", Wish::kDisabled, Wish::kDisabled,
       "istio.io/dataplane-mode=none", 0},
      // Ours beats Istio's on the same object.
      {"enabled", "none", Wish::kEnabled, Wish::kEnabled,
       "nodeward.io/mesh=enabled", 0},
      {"disabled", "ambient", Wish::kDisabled, Wish::kDisabled,
       "nodeward.io/mesh=disabled", 0},
      // Unknown values count as not set.
      {"true", nullptr, Wish::kNone, Wish::kNone, "", 1},
      {"", nullptr, Wish::kNone, Wish::kNone, "", 1},
      {"Enabled", nullptr, Wish::kNone, Wish::kNone, "", 1},
      {nullptr, "Kmesh", Wish::kNone, Wish::kNone, "", 1},
      {"on", "ambient", Wish::kEnabled, Wish::kEnabled,
       "istio.io/dataplane-mode=ambient", 1},
      {"on", "off", Wish::kNone, Wish::kNone, "", 2},
      {"required", "none", Wish::kDisabled, Wish::kRequired,
       "nodeward.io/mesh=required", 1},
      // Known, so Istio's is not even looked at.
      {"enabled", "Kmesh", Wish::kEnabled, Wish::kEnabled,
       "nodeward.io/mesh=enabled", 0},
  };
  for (const ReadRow& row : rows) {
    std::string text = "labels:\n  app: x\n";
    if (row.ours) {
      base::StrAppend(&text, "  nodeward.io/mesh: '", row.ours, "'\n");
    }
    if (row.istio) {
      base::StrAppend(&text, "  istio.io/dataplane-mode: '", row.istio, "'\n");
    }
    Document pod(text);
    EXPECT_EQ(ReadOptIn(pod.root()["labels"], false).wish, row.on_pod) << text;
    const std::string findings = pod.Findings();
    EXPECT_EQ(std::count(findings.begin(), findings.end(), '\n'), row.notes)
        << text << findings;
    EXPECT_EQ(pod.worst(), Severity::kNote);
    Document name_space(text);
    const OptIn wide = ReadOptIn(name_space.root()["labels"], true);
    EXPECT_EQ(wide.wish, row.on_namespace) << text;
    EXPECT_EQ(wide.label, row.label) << text;
  }
}

TEST(OptInTest, AnUnknownValueIsReportedWithTheKnownOnes) {
  Document pod("nodeward.io/mesh: yes\n");
  ReadOptIn(pod.root(), false);
  EXPECT_EQ(pod.Findings(),
            "/nodeward.io~1mesh: unknown value 'yes' counts as not set; use "
            "enabled or disabled\n");
}

// Namespace wish x pod wish: in the mesh, or not, and which label says so.
TEST(OptInTest, ANamespaceMayRequireMutualTls) {
  const auto required = [](const std::string& labels, std::string* findings) {
    Document document(labels);
    const bool result = ReadRequiresMtls(document.root());
    *findings = document.Findings();
    return result;
  };
  std::string findings;
  EXPECT_TRUE(required("{nodeward.io/outbound: require-mtls}", &findings));
  EXPECT_EQ(findings, "");
  EXPECT_FALSE(required("{a: b}", &findings));
  EXPECT_EQ(findings, "");
  EXPECT_FALSE(required("{nodeward.io/outbound: mtls}", &findings));
  EXPECT_NE(findings.find("use require-mtls"), std::string::npos);
}

TEST(OptInTest, ThePodWinsUnlessTheNamespaceRequires) {
  struct Row {
    Wish name_space, pod;
    bool in_mesh;
    const char* reason;
  };
  const Row rows[] = {
      {Wish::kNone, Wish::kNone, false, "no label opts"},
      {Wish::kNone, Wish::kEnabled, true, "pod label pod"},
      {Wish::kNone, Wish::kDisabled, false, "pod label pod"},
      {Wish::kEnabled, Wish::kNone, true, "namespace label ns"},
      {Wish::kEnabled, Wish::kEnabled, true, "pod label pod"},
      {Wish::kEnabled, Wish::kDisabled, false, "pod label pod"},
      {Wish::kDisabled, Wish::kNone, false, "namespace label ns"},
      {Wish::kDisabled, Wish::kEnabled, true, "pod label pod"},
      {Wish::kDisabled, Wish::kDisabled, false, "pod label pod"},
      {Wish::kRequired, Wish::kNone, true, "namespace label ns"},
      {Wish::kRequired, Wish::kEnabled, true, "namespace label ns"},
      {Wish::kRequired, Wish::kDisabled, true,
       "namespace label ns, which overrides pod label pod"},
  };
  for (const Row& row : rows) {
    Pod pod;
    pod.workload = In("full");
    pod.opt_in = {row.pod, "pod"};
    const Namespace name_space{"full", {row.name_space, "ns"}};
    Enrolment enrolment = DecideEnrolment(pod, &name_space);
    EXPECT_EQ(enrolment.membership == Membership::kEnabled, row.in_mesh);
    EXPECT_EQ(enrolment.opted_in, row.in_mesh);
    EXPECT_THAT(enrolment.reason, HasSubstr(row.reason));
    // What never is in the mesh is not, whatever the labels say.
    for (const Membership never : {Membership::kHostNetwork,
                                   Membership::kSystem, Membership::kSidecar}) {
      Pod excluded = pod;
      excluded.host_network = never == Membership::kHostNetwork;
      if (never == Membership::kSystem) {
        excluded.workload = In("kube-system");
      }
      if (never == Membership::kSidecar) excluded.sidecar = "it has one";
      enrolment = DecideEnrolment(excluded, &name_space);
      EXPECT_EQ(enrolment.membership, never);
      EXPECT_FALSE(enrolment.opted_in);
    }
    // A pod that has ended is terminal whatever else it is.
    Pod ended = pod;
    ended.ended = "phase Failed";
    enrolment = DecideEnrolment(ended, &name_space);
    EXPECT_EQ(enrolment.membership, Membership::kTerminal);
    EXPECT_EQ(enrolment.opted_in, row.in_mesh);
    EXPECT_EQ(enrolment.reason, "phase Failed");
    ended.host_network = true;
    EXPECT_EQ(DecideEnrolment(ended, &name_space).membership,
              Membership::kTerminal);
  }
}

TEST(OptInTest, WithoutANamespaceObjectThePodDecides) {
  Pod pod;
  EXPECT_EQ(DecideEnrolment(pod, nullptr).membership, Membership::kNotOptedIn);
  pod.opt_in = {Wish::kEnabled, "nodeward.io/mesh=enabled"};
  EXPECT_EQ(DecideEnrolment(pod, nullptr).membership, Membership::kEnabled);
}

}  // namespace
}  // namespace nodeward::discovery
