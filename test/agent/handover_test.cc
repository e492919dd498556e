// SPDX-License-Identifier: Apache-2.0
#include "agent/handover.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

namespace nodeward::agent {
namespace {

using base::Json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

base::Fd AnyFd() { return base::Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

std::string Refusal(const HandoverTerms& taker, const HandoverTerms& giver) {
  return std::string(taker.MayTakeFrom(giver).message());
}

TEST(HandoverTermsTest, OnlyOfTheSameNodeAndPins) {
  const HandoverTerms giver{"/sys/fs/bpf/nodeward", "node-a"};
  EXPECT_EQ(Refusal(giver, giver), "");
  HandoverTerms taker = giver;
  taker.bpf_dir = "/sys/fs/bpf/other";
  EXPECT_THAT(Refusal(taker, giver), HasSubstr("/sys/fs/bpf/other"));
  taker = giver;
  taker.node = "node-b";
  EXPECT_THAT(Refusal(taker, giver), HasSubstr("node-b"));
}

TEST(HandoverTermsTest, AsJsonAndBack) {
  const HandoverTerms terms{"/bpf", "n"};
  EXPECT_EQ(terms.ToJson().dump(), R"({"bpfDir":"/bpf","node":"n"})");
  EXPECT_TRUE(HandoverTerms::FromJson(terms.ToJson()).MayTakeFrom(terms).ok());
  // What says nothing fits nobody.
  EXPECT_FALSE(HandoverTerms::FromJson(Json()).MayTakeFrom(terms).ok());
}

capture::HandedPod SomePod() {
  capture::HandedPod pod;
  pod.uid = "uid-1";
  pod.netns_cookie = 4711;
  pod.earlier.resize(2);
  pod.earlier[0].cookie = 5;
  pod.earlier[0].local = *base::Endpoint::Parse("10.0.0.1:80");
  pod.earlier[0].remote = *base::Endpoint::Parse("[fd00::1]:4000");
  pod.earlier[1].cookie = uint64_t{1} << 40;
  pod.earlier[1].local = *base::Endpoint::Parse("10.0.0.1:81");
  pod.earlier[1].remote = *base::Endpoint::Parse("10.0.0.2:5");
  pod.former_sysctls = {{"net/ipv4/fwmark_reflect", 1}};
  return pod;
}

TEST(HandedPodTest, ALineIsWhatItWas) {
  const capture::HandedPod pod = SomePod();
  EXPECT_EQ(
      PodToJson(pod).dump(),
      R"({"pod":"uid-1","netnsCookie":4711,"earlier":[)"
      R"({"cookie":5,"local":"10.0.0.1:80","remote":"[fd00::1]:4000"},)"
      R"({"cookie":1099511627776,"local":"10.0.0.1:81","remote":"10.0.0.2:5"}],)"
      R"("sysctls":{"net/ipv4/fwmark_reflect":1}})");
  admin::DescriptorLine line{PodToJson(pod), {}};
  line.descriptors.push_back({"hbone", AnyFd()});
  line.descriptors.push_back({"outbound6", AnyFd()});
  const int hbone = line.descriptors[0].fd.get();
  auto read = PodFromLine(std::move(line));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->uid, "uid-1");
  EXPECT_EQ(read->netns_cookie, 4711u);
  EXPECT_EQ(read->listeners.hbone.get(), hbone);
  EXPECT_TRUE(read->listeners.outbound6.valid());
  EXPECT_FALSE(read->listeners.outbound4.valid());
  ASSERT_EQ(read->earlier.size(), 2u);
  EXPECT_EQ(read->earlier[0].cookie, 5u);
  EXPECT_EQ(read->earlier[0].remote, pod.earlier[0].remote);
  EXPECT_EQ(read->earlier[1].cookie, uint64_t{1} << 40);
  EXPECT_EQ(read->former_sysctls, pod.former_sysctls);
}

TEST(HandedPodTest, ListenersHaveTheirNames) {
  capture::Listeners listeners;
  listeners.outbound4 = AnyFd();
  listeners.hbone = AnyFd();
  std::vector<std::string> names;
  for (const auto& one : ListenersOf(std::move(listeners))) {
    names.push_back(one.name);
  }
  EXPECT_THAT(names, ElementsAre("outbound4", "hbone"));
}

TEST(HandedPodTest, NonsenseIsAnError) {
  for (const Json& json :
       {Json::object(), Json{{"pod", "uid-1"}}, Json{{"netnsCookie", 1}},
        Json{{"pod", "uid-1"},
             {"netnsCookie", 1},
             {"earlier", {{{"cookie", 1}, {"local", "nowhere"}}}}}}) {
    EXPECT_FALSE(PodFromLine({json, {}}).ok()) << json;
  }
}

// A loop, an agent at one end of a connection and the test at the other.
class OtherAgentTest : public ::testing::Test {
 protected:
  OtherAgentTest() : loop_(io::Loop::Create().value()) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                         ends),
              0);
    here_.Reset(ends[0]);
    other_ = std::make_unique<OtherAgent>(*loop_, base::Fd(ends[1]));
  }
  void Say(const std::string& text) {
    ASSERT_EQ(send(here_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // Runs until its end is told; what was heard before.
  std::vector<std::string> Listen() {
    std::vector<std::string> heard;
    EXPECT_TRUE(other_
                    ->Watch(
                        [&](const admin::DescriptorLine& line) {
                          heard.push_back(line.json.dump());
                        },
                        [&] { loop_->Stop(); })
                    .ok());
    loop_->Run();
    return heard;
  }

  std::unique_ptr<io::Loop> loop_;
  base::Fd here_;
  std::unique_ptr<OtherAgent> other_;
};

TEST_F(OtherAgentTest, IsHeardUntilItsEnd) {
  EXPECT_TRUE(other_->CheckUser().ok());
  Say("{\"taken\":true}\n{\"a\":1}\n");
  here_.Reset();
  EXPECT_THAT(Listen(), ElementsAre(R"({"taken":true})", R"({"a":1})"));
}

TEST_F(OtherAgentTest, NonsenseIsItsEnd) {
  Say("{\"taken\":true}\nnonsense\n{\"a\":1}\n");
  EXPECT_THAT(Listen(), ElementsAre(R"({"taken":true})"));
}

TEST_F(OtherAgentTest, IsSpokenTo) {
  ASSERT_TRUE(other_->Send({{"yielded", true}}).ok());
  char text[64] = {};
  EXPECT_GT(recv(here_.get(), text, sizeof(text), 0), 0);
  EXPECT_EQ(std::string(text), "{\"yielded\":true}\n");
  Say("{\"b\":2}\n");
  const auto line = other_->Await();
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(base::GetInt(line->json, "b"), 2);
  here_.Reset();
  EXPECT_FALSE(other_->Send({{"yielded", true}}).ok());
}

}  // namespace
}  // namespace nodeward::agent
