// SPDX-License-Identifier: Apache-2.0
#include "ca/event_writer.h"

#include <gmock/gmock.h>

#include "kube/kubernetes_fixture.h"

namespace nodeward::ca {
namespace {

using testing::StartsWith;

constexpr char kEvents[] = "/apis/events.k8s.io/v1/namespaces/system/events";
constexpr char kDeployments[] = "/apis/apps/v1/namespaces/system/deployments";
const Event kUpdated{false, kIssuerUpdated, "Updated identity issuer", "b"};

class EventWriterTest : public kube::KubernetesTest {
 protected:
  void SetUp() override {
    kube::KubernetesTest::SetUp();
    Make();
  }
  void TearDown() override {
    loop_.Do([&] { writer_.reset(); });
    kube::KubernetesTest::TearDown();
  }
  void Make() {
    loop_.Do([&] {
      writer_ = std::make_unique<EventWriter>(loop_.loop(), client_.get(),
                                              options_, [] { return 0.0; });
    });
  }
  void SetLeads(bool leads) {
    loop_.Do([&] { writer_->SetLeads(leads); });
  }
  void Tell(const Event& event) {
    loop_.Do([&] { writer_->Tell(event); });
  }
  size_t Pending() {
    size_t pending = 0;
    loop_.Do([&] { pending = writer_->pending(); });
    return pending;
  }
  void AwaitNone() {
    AwaitOnLoop([&] { return writer_->pending() == 0; });
  }
  // The bodies that were posted.
  std::vector<base::Json> Written() {
    std::vector<base::Json> all;
    const std::string requests = Requests();
    const std::string post = base::StrCat("POST ", kEvents, " ");
    for (size_t at = requests.find(post); at != std::string::npos;
         at = requests.find(post, at + 1)) {
      const size_t body = at + post.size();
      all.push_back(*base::ParseJson(
          requests.substr(body, requests.find('\n', body) - body)));
    }
    return all;
  }

  EventWriter::Options options_{.deployment = {"system", "nodeward-ca"},
                                .instance = "nodeward-ca-1"};
  std::unique_ptr<EventWriter> writer_;
};

TEST_F(EventWriterTest, WritesAnEventOfItsDeployment) {
  ASSERT_EQ(Do("POST", kDeployments,
               R"({"metadata":{"name":"nodeward-ca","uid":"d1"}})"),
            201);
  SetLeads(true);
  Tell(kUpdated);
  Tell({true, kIssuerUpdateSkipped, std::string(2000, 'x')});
  AwaitNone();
  const auto written = Written();
  ASSERT_EQ(written.size(), 2u);
  const base::Json& event = written[0];
  EXPECT_EQ(event["regarding"].dump(),
            R"({"apiVersion":"apps/v1","kind":"Deployment",)"
            R"("namespace":"system","name":"nodeward-ca","uid":"d1"})");
  EXPECT_EQ(event["reason"], "IssuerUpdated");
  EXPECT_EQ(event["note"], "Updated identity issuer");
  EXPECT_EQ(event["type"], "Normal");
  EXPECT_EQ(event["reportingInstance"], "nodeward-ca-1");
  EXPECT_THAT(event["metadata"]["name"].get<std::string>(),
              StartsWith("nodeward-ca."));
  EXPECT_EQ(event["eventTime"].get<std::string>().size(),
            std::string("2026-11-22T20:00:00.000000Z").size());
  EXPECT_EQ(written[1]["type"], "Warning");
  EXPECT_EQ(written[1]["note"].get<std::string>().size(), 1024u);
}

TEST_F(EventWriterTest, WithoutADeploymentToReadItWritesAllTheSame) {
  SetLeads(true);
  Tell(kUpdated);
  AwaitNone();
  ASSERT_EQ(Written().size(), 1u);
  EXPECT_FALSE(Written()[0]["regarding"].contains("uid"));
}

TEST_F(EventWriterTest, WhatIsThereAlreadyIsNotWrittenTwice) {
  SetLeads(true);
  Tell(kUpdated);
  AwaitNone();
  // Another CA, later, that saw the same.
  options_.instance = "nodeward-ca-2";
  Make();
  Tell(kUpdated);
  Event other = kUpdated;
  other.subject = "c";
  Tell(other);
  SetLeads(true);
  AwaitNone();
  const auto written = Written();
  ASSERT_EQ(written.size(), 3u);
  EXPECT_EQ(written[0]["metadata"]["name"], written[1]["metadata"]["name"]);
  const std::string name = written[0]["metadata"]["name"];
  EXPECT_EQ(Get(base::StrCat(kEvents, "/", name))["reportingInstance"],
            "nodeward-ca-1");
  EXPECT_NE(written[2]["metadata"]["name"], written[0]["metadata"]["name"]);
}

TEST_F(EventWriterTest, OneThatDoesNotLeadKeepsItForAMomentOnly) {
  Tell(kUpdated);
  EXPECT_EQ(Pending(), 1u);
  options_.keep = absl::ZeroDuration();
  Make();
  Tell(kUpdated);
  SetLeads(true);
  AwaitNone();
  EXPECT_EQ(Written().size(), 0u);
}

TEST_F(EventWriterTest, TriesAgainWhenTheServerMightTakeIt) {
  Refuse(R"({"POST": 503})");
  SetLeads(true);
  Tell(kUpdated);
  Await([&] { return Written().size() >= 2; });
  Refuse("");
  AwaitNone();
  const std::string name = Written().back()["metadata"]["name"];
  EXPECT_FALSE(Get(base::StrCat(kEvents, "/", name)).is_null());
}

TEST_F(EventWriterTest, WhatItMayNotWriteIsLeftToTheLog) {
  Refuse(R"({"POST": 403})");
  SetLeads(true);
  Tell(kUpdated);
  AwaitNone();
  EXPECT_EQ(Written().size(), 1u);
}

TEST_F(EventWriterTest, WritesSoManyAndNoMore) {
  options_.burst = 3;
  Make();
  SetLeads(true);
  for (int i = 0; i < 50; ++i) {
    Tell({true, kIssuerValidationFailed, base::StrCat("why ", i)});
  }
  AwaitNone();
  EXPECT_EQ(Written().size(), 3u);
}

}  // namespace
}  // namespace nodeward::ca
