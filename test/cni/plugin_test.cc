// SPDX-License-Identifier: Apache-2.0
#include "cni/plugin.h"

#include <gmock/gmock.h>

#include <map>

#include "base/text.h"
#include "cni/decision.h"

namespace nodeward::cni {
namespace {

using Kind = Answer::Kind;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kOptedIn[] =
    R"({"metadata":{"name":"full","labels":{"nodeward.io/mesh":"enabled"}}})";
constexpr char kNotOptedIn[] = R"({"metadata":{"name":"full"}})";
constexpr char kPod[] =
    R"({"metadata":{"name":"sleep","namespace":"full","uid":"u1"},"spec":{}})";

class PluginTest : public testing::Test {
 protected:
  PluginTest() {
    files_["/k"] = TextOf(Kubeconfig{"https://10.96.0.1:443", "pem", "t"});
  }

  Outcome Run(const std::string& command,
              const std::string& name_space = "full") {
    asked_.clear();
    const std::map<std::string, std::string> variables = {
        {"CNI_COMMAND", command},
        {"CNI_CONTAINERID", "c1"},
        {"CNI_NETNS", "/n"},
        {"CNI_ARGS", name_space.empty()
                         ? ""
                         : base::StrCat("K8S_POD_NAMESPACE=", name_space,
                                        ";K8S_POD_NAME=sleep;K8S_POD_UID=u1")}};
    const World world = {
        .ask_agent = [this](const std::string& socket, const Question& question)
            -> base::StatusOr<Answer> {
          asked_.push_back(socket + " " + question.QualifiedName() +
                           (question.starts ? " starts" : " runs"));
          return agent_;
        },
        .get = [this](const Kubeconfig& config,
                      const std::string& target) -> base::StatusOr<HttpAnswer> {
          asked_.push_back(config.token + " " + target);
          const auto found = api_.find(target);
          if (found == api_.end()) return absl::UnavailableError("API away");
          return found->second;
        },
        .read = [this](const std::string& path) -> base::StatusOr<std::string> {
          const auto found = files_.find(path);
          if (found == files_.end()) return absl::NotFoundError("no " + path);
          return found->second;
        }};
    return RunPlugin(
        [&](const char* name) {
          const auto found = variables.find(name);
          return found == variables.end() ? "" : found->second;
        },
        R"({"cniVersion":"1.0.0","name":"pods","socket":"/s",)"
        R"("kubeconfig":"/k","namespaces":"/l","agentNamespace":"sys",)"
        R"("prevResult":{"cniVersion":"1.0.0","ips":[]}})",
        world);
  }
  // "ok", or the message of the error, which must be code 11.
  std::string Add(const std::string& name_space = "full") {
    const Outcome outcome = Run("ADD", name_space);
    const auto json = base::ParseJson(outcome.output);
    if (!json.ok()) return "no JSON: " + outcome.output;
    if (outcome.exit_status == 0) {
      return json->contains("ips") ? "ok" : "another result";
    }
    EXPECT_EQ(base::GetInt(*json, "code"), 11);
    return base::GetString(*json, "msg");
  }
  void Api(const std::string& name_space, const std::string& pod = kPod) {
    api_["/api/v1/namespaces/full"] = {200, name_space};
    api_["/api/v1/namespaces/full/pods/sleep"] = {200, pod};
  }

  base::StatusOr<Answer> agent_ = absl::UnavailableError("no agent");
  std::map<std::string, HttpAnswer> api_;
  std::map<std::string, std::string> files_;
  std::vector<std::string> asked_;
};

TEST_F(PluginTest, TheAgentsWordCounts) {
  Api(kOptedIn);
  agent_ = Answer{Kind::kCaptured, ""};
  EXPECT_EQ(Add(), "ok");
  EXPECT_THAT(asked_, testing::ElementsAre("/s full/sleep starts"));
  agent_ = Answer{Kind::kOutside, ""};
  EXPECT_EQ(Add(), "ok");
  EXPECT_THAT(asked_, testing::SizeIs(1));
  Api(kNotOptedIn);
  agent_ = Answer{Kind::kRefused, "no veth"};
  EXPECT_THAT(Add(), HasSubstr("pod full/sleep is not let start: no veth"));
  EXPECT_THAT(asked_, testing::SizeIs(1));
}

TEST_F(PluginTest, WithoutAgentTheApiServersWord) {
  Api(kOptedIn);
  EXPECT_THAT(Add(), HasSubstr("waits until the agent of this node can capture "
                               "it: no agent"));
  EXPECT_THAT(asked_, testing::ElementsAre(
                          "/s full/sleep starts", "t /api/v1/namespaces/full",
                          "t /api/v1/namespaces/full/pods/sleep"));
  Api(kNotOptedIn);
  // What was opted in when the agent was there counts no more.
  files_["/l"] = TextOf(KnownNamespaces{{"full", true}});
  EXPECT_EQ(Add(), "ok");
  Api(kOptedIn, R"({"metadata":{"name":"sleep","namespace":"full",)"
                R"("uid":"u2"}})");
  EXPECT_THAT(Add(), HasSubstr("another pod of that name"));
}

TEST_F(PluginTest, AnAgentThatDoesNotKnowIsAsNone) {
  agent_ = Answer{Kind::kUnsure, "not told yet"};
  Api(kNotOptedIn);
  EXPECT_EQ(Add(), "ok");
  Api(kOptedIn);
  EXPECT_THAT(Add(), HasSubstr("not told yet"));
}

TEST_F(PluginTest, WithoutApiServerTheList) {
  EXPECT_THAT(Add(), HasSubstr("may be of the mesh, and nobody says: no agent; "
                               "API away; read /l: no /l"));
  files_["/l"] = TextOf(KnownNamespaces{{"full", true}, {"legacy", false}});
  EXPECT_THAT(Add(), HasSubstr("may be of the mesh, and nobody says: no agent; "
                               "API away; its namespace or a pod there was "
                               "opted in"));
  EXPECT_EQ(Add("legacy"), "ok");
  EXPECT_THAT(Add("new"), HasSubstr("/l does not have its namespace"));
  files_["/l"] = "{";
  EXPECT_THAT(Add("legacy"), HasSubstr("read /l: "));
}

TEST_F(PluginTest, AnApiServerThatRefusesDoesNotCount) {
  files_["/l"] = TextOf(KnownNamespaces{{"full", false}});
  api_["/api/v1/namespaces/full"] = {401, "{}"};
  api_["/api/v1/namespaces/full/pods/sleep"] = {401, "{}"};
  EXPECT_EQ(Add(), "ok");
  files_.erase("/l");
  EXPECT_THAT(Add(), HasSubstr("answers 401"));
  Api("[]");
  EXPECT_THAT(Add(), HasSubstr("the answer is broken"));
}

TEST_F(PluginTest, WithoutKubeconfigTheList) {
  files_["/l"] = TextOf(KnownNamespaces{{"full", false}});
  files_.erase("/k");
  EXPECT_EQ(Add(), "ok");
  EXPECT_THAT(asked_, testing::SizeIs(1));
  files_["/k"] = "{}";
  files_.erase("/l");
  EXPECT_THAT(Add(), HasSubstr("read /k: "));
}

TEST_F(PluginTest, SystemsPodsAreNeverKeptBack) {
  agent_ = Answer{Kind::kRefused, "no"};
  EXPECT_EQ(Add("kube-system"), "ok");
  EXPECT_THAT(asked_, IsEmpty());
  // Its own namespace may be of the mesh, but waits for nobody.
  EXPECT_THAT(Add("sys"), HasSubstr("not let start"));
  agent_ = absl::UnavailableError("no agent");
  EXPECT_EQ(Add("sys"), "ok");
  // Nor what is no pod of Kubernetes.
  EXPECT_EQ(Add(""), "ok");
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(PluginTest, NamesBecomeNoPaths) {
  EXPECT_THAT(Add("a/../b"), HasSubstr("its name is none of Kubernetes"));
  EXPECT_THAT(asked_, testing::SizeIs(1));
}

TEST_F(PluginTest, Check) {
  agent_ = Answer{Kind::kCaptured, ""};
  const Outcome good = Run("CHECK");
  EXPECT_EQ(good.exit_status, 0);
  EXPECT_EQ(good.output, "");
  EXPECT_THAT(asked_, testing::ElementsAre("/s full/sleep runs"));
  agent_ = Answer{Kind::kRefused, "not captured"};
  EXPECT_EQ(Run("CHECK").exit_status, 1);
}

TEST_F(PluginTest, WhatNeverFails) {
  for (const char* command : {"DEL", "GC", "STATUS"}) {
    const Outcome outcome = Run(command);
    EXPECT_EQ(outcome.exit_status, 0) << command;
    EXPECT_EQ(outcome.output, "") << command;
    EXPECT_THAT(asked_, IsEmpty());
  }
  // Whatever it is called with.
  EXPECT_EQ(RunPlugin(
                [](const char* name) {
                  return std::string(name) == "CNI_COMMAND" ? "DEL" : "";
                },
                "{", {})
                .exit_status,
            0);
}

TEST_F(PluginTest, Version) {
  const Outcome outcome = Run("VERSION");
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_THAT(outcome.output, HasSubstr(R"("supportedVersions":["0.3.0",)"));
}

TEST_F(PluginTest, Nonsense) {
  const Outcome outcome = Run("PUT");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.output, HasSubstr(R"("code":4)"));
}

}  // namespace
}  // namespace nodeward::cni
