// SPDX-License-Identifier: Apache-2.0
#include "kube/user_client.h"

#include <gmock/gmock.h>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;

constexpr char kExec[] = "GET /api/v1/namespaces/sys/pods/agent-1/exec";

class UserClientTest : public ApiTest {
 protected:
  ClusterAccess Access() {
    ClusterAccess access;
    access.server = url_;
    access.roots = root_.certificate.ToPem();
    access.token = "mine";
    return access;
  }
  static base::StatusOr<RemoteCommand::Result> Run(
      ClusterAccess access, absl::Duration deadline = absl::Seconds(60)) {
    return UserClient(std::move(access))
        .Run({"sys", "agent-1", "agent"}, {"check"}, deadline);
  }
  static std::string Why(ClusterAccess access) {
    const auto answer =
        UserClient(std::move(access)).Get("/a", absl::Seconds(60));
    EXPECT_FALSE(answer.ok());
    return std::string(answer.status().message());
  }
};

TEST_F(UserClientTest, ShowsAToken) {
  Set("GET /a", 200, "hello");
  const auto answer = UserClient(Access()).Get("/a?b=c", absl::Seconds(60));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "hello");
  EXPECT_EQ(Requests(), "GET /a?b=c Bearer mine - \n");
}

TEST_F(UserClientTest, ShowsACertificate) {
  Set("GET /a", 200, "hello");
  const pki::PrivateKey key = *pki::PrivateKey::GenerateP256();
  ClusterAccess access = Access();
  access.token.clear();
  access.certificate =
      pki::Forge(root_, key, {.organization = "admins"}).ToPem();
  access.key = *key.ToPem();
  const auto answer =
      UserClient(std::move(access)).Get("/a", absl::Seconds(60));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(Requests(), "GET /a admins - \n");
}

TEST_F(UserClientTest, TheServerMustBeWhoItShouldBe) {
  Set("GET /a", 200, "hello");
  ClusterAccess access = Access();
  access.roots = pki::NewRoot().certificate.ToPem();
  EXPECT_THAT(Why(std::move(access)), HasSubstr("certificate"));
  access = Access();
  access.server_name = "another.example";
  EXPECT_THAT(Why(std::move(access)), HasSubstr("another.example"));
  access = Access();
  access.server = "https://127.0.0.1" + url_.substr(url_.rfind(':'));
  EXPECT_THAT(Why(std::move(access)), HasSubstr("127.0.0.1"));
  access = Access();
  access.server = "https://127.0.0.1" + url_.substr(url_.rfind(':'));
  access.server_name = "localhost";
  EXPECT_TRUE(UserClient(std::move(access)).Get("/a", absl::Seconds(60)).ok());
  access = Access();
  access.roots = pki::NewRoot().certificate.ToPem();
  access.insecure = true;
  EXPECT_TRUE(UserClient(std::move(access)).Get("/a", absl::Seconds(60)).ok());
}

TEST_F(UserClientTest, RunsACommand) {
  Set(kExec, 101,
      R"([[1,""],[2,""],[1,"one "],[2,"oops"],[1,"two"],)"
      R"([3,"{\"status\":\"Success\"}"]])");
  const auto ran = Run(Access());
  ASSERT_TRUE(ran.ok()) << ran.status();
  EXPECT_EQ(ran->out, "one two");
  EXPECT_EQ(ran->err, "oops");
  EXPECT_THAT(Requests(), HasSubstr("exec?stdout=true&stderr=true&container="
                                    "agent&command=check Bearer mine"));
}

TEST_F(UserClientTest, WhatItSaidLastCounts) {
  Set(kExec, 101, R"([[3,"{\"status\":\"Success\"}"],[1,"late"]])");
  const auto ran = Run(Access());
  ASSERT_TRUE(ran.ok()) << ran.status();
  EXPECT_EQ(ran->out, "late");
}

TEST_F(UserClientTest, AServerNeedNotSayGoodbye) {
  Set(kExec, 101, R"([[1,"all"],[3,"{\"status\":\"Success\"}"],[-1]])");
  const auto ran = Run(Access());
  ASSERT_TRUE(ran.ok()) << ran.status();
  EXPECT_EQ(ran->out, "all");
}

TEST_F(UserClientTest, SaysWhyACommandDidNotRun) {
  Set(kExec, 403, R"({"message":"no right"})");
  EXPECT_THAT(std::string(Run(Access()).status().message()),
              HasSubstr("the server answers 403: no right"));
  Set(kExec, 101, R"([[1,"half"],[-1]])");
  EXPECT_FALSE(Run(Access()).ok());
  StopServer(SIGSTOP);
  EXPECT_FALSE(Run(Access(), absl::Milliseconds(300)).ok());
}

}  // namespace
}  // namespace nodeward::kube
