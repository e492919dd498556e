// SPDX-License-Identifier: Apache-2.0
//
// Whom a question is about; what is decided, cli/policy_test.cc asks.
#include "policy/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace nodeward::policy {
namespace {

using base::GetInt;
using base::GetString;
using ::testing::HasSubstr;

class AnswerTest : public ::testing::Test {
 protected:
  AnswerTest() {
    snapshot_.trust_domain = "cluster.local";
    auto service = std::make_shared<model::Service>();
    service->name = "web";
    service->name_space = "foo";
    service->ports.resize(2);
    service->ports[0].port = 8000;
    service->ports[1].port = 9000;
    for (int i = 0; i < 2; ++i) {
      auto workload = std::make_shared<model::Workload>();
      workload->name = "web-" + std::to_string(i);
      workload->name_space = "foo";
      workload->labels = {{"pod", workload->name}};
      workload->membership = model::Membership::kEnabled;
      workload->ports = {{"http", 80, {}}};
      workload->ips = {*base::IpAddress::Parse("10.0.0." + std::to_string(i)),
                       *base::IpAddress::Parse("fd00::" + std::to_string(i))};
      service->ports[0].ready.push_back({{workload->ips[0], 80}, workload});
      snapshot_.workloads.push_back(workload);
    }
    snapshot_.services = {service};
  }
  base::StatusOr<base::Json> Ask(const std::string& to,
                                 std::optional<uint16_t> port = {}) {
    snapshot_.Finish();
    Question question;
    question.name_space = "foo";
    question.name = to;
    question.port = port;
    question.from_ip = from_ip_;
    return AnswerQuestion(snapshot_, question);
  }
  void Deny(model::Labels selector, model::AttributeTests when = {}) {
    auto policy = std::make_shared<model::AuthorizationPolicy>();
    policy->name = "deny";
    policy->name_space = "foo";
    policy->action = model::AuthorizationPolicy::Action::kDeny;
    policy->selector = std::move(selector);
    policy->rules.resize(1);
    policy->rules[0].when = std::move(when);
    snapshot_.authorization_policies = {policy};
  }
  model::Snapshot snapshot_;
  base::IpAddress from_ip_;
};

TEST_F(AnswerTest, APodWithItsOwnPort) {
  auto answer = Ask("web-0");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(GetString(*answer, "to"), "foo/web-0");
  EXPECT_EQ(GetInt(*answer, "port"), 80);
  EXPECT_EQ(GetString(*answer, "verdict"), "ALLOW");
  EXPECT_TRUE(base::GetMember(*answer, "policy").is_null());
  EXPECT_TRUE(base::GetMember(*answer, "notes").empty());
  answer = Ask("web-0", 8000);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(GetInt(*answer, "port"), 8000);
}

TEST_F(AnswerTest, AServiceIsAllItsReadyPods) {
  auto answer = Ask("web", 8000);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(GetString(*answer, "verdict"), "ALLOW");
  EXPECT_EQ(GetInt(*answer, "port"), 80);
  Deny({{"pod", "web-1"}});
  answer = Ask("web");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(GetString(*answer, "verdict"), "DENY");
  EXPECT_EQ(GetString(*answer, "to"), "foo/web-1");
  EXPECT_THAT(base::GetMember(*answer, "notes").dump(), HasSubstr("not all"));
}

TEST_F(AnswerTest, WhatIsNotThere) {
  const struct {
    const char* to;
    int port;
    const char* error;
  } rows[] = {{"nobody", 80, "there is no pod and no service foo/nobody"},
              {"web", 80, "service foo/web has no port 80"},
              {"web", 9000, "has no ready pod behind port 9000"}};
  for (const auto& row : rows) {
    const auto answer = Ask(row.to, static_cast<uint16_t>(row.port));
    ASSERT_FALSE(answer.ok());
    EXPECT_THAT(std::string(answer.status().message()), HasSubstr(row.error));
  }
}

TEST_F(AnswerTest, TheDestinationsAddressIsOfTheCallersFamily) {
  Deny({}, {{model::Attribute::kDestinationIp, "", {"fd00::/16"}, {}}});
  EXPECT_EQ(GetString(*Ask("web-1"), "verdict"), "ALLOW");
  from_ip_ = *base::IpAddress::Parse("fd00::9");
  EXPECT_EQ(GetString(*Ask("web-1"), "verdict"), "DENY");
}

}  // namespace
}  // namespace nodeward::policy
