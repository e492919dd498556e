// SPDX-License-Identifier: Apache-2.0
#include "ca/static_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "pki/command.h"

namespace nodeward::ca {
namespace {

using pki::RunCommand;
using pki::Spill;
using testing::HasSubstr;
using testing::Not;

class StaticTokensTest : public testing::Test {
 protected:
  std::string Write(const std::string& text, mode_t mode = 0600) {
    // A new file each time: what changed is never a question of the clock.
    const std::string made = folder_ / "new";
    Spill(made, text);
    chmod(made.c_str(), mode);
    rename(made.c_str(), path_.c_str());
    return path_;
  }
  std::string Failure(const std::string& text, mode_t mode = 0600) {
    const auto opened = StaticTokens::Open(Write(text, mode));
    return opened.ok() ? "it opened" : std::string(opened.status().message());
  }

  pki::TempFolder folder_;
  const std::string path_ = folder_ / "tokens";
};

TEST_F(StaticTokensTest, TokensAndDigests) {
  const std::string digest =
      RunCommand("printf %s second-token-0123456 | sha256sum")
          .output.substr(0, 64);
  const auto tokens = StaticTokens::Open(Write(
      "# who\n\n"
      "first-token-01234567 system:serviceaccount:mesh:a\n"
      "sha256:" +
      digest + "\tsystem:serviceaccount:sys:agent node=n pod=p uid=u # it\n"));
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  auto caller = (*tokens)->Authenticate("first-token-01234567");
  ASSERT_TRUE(caller.ok());
  EXPECT_EQ(*caller, (Caller{"mesh", "a", "", "", ""}));
  caller = (*tokens)->Authenticate("second-token-0123456");
  ASSERT_TRUE(caller.ok());
  EXPECT_EQ(*caller, (Caller{"sys", "agent", "p", "u", "n"}));
  for (const std::string& wrong :
       {std::string(), std::string("third-token-01234567"), digest,
        "sha256:" + digest}) {
    const base::Status refused = (*tokens)->Authenticate(wrong).status();
    EXPECT_TRUE(absl::IsUnauthenticated(refused)) << wrong;
    EXPECT_EQ(std::string(refused.message()),
              "authentication token could not be authenticated");
  }
}

TEST_F(StaticTokensTest, MistakesAreNamedAndTokensNot) {
  const std::string user = " system:serviceaccount:a:b\n";
  EXPECT_THAT(Failure("short" + user), HasSubstr("line 1: the token is shor"));
  EXPECT_THAT(Failure("\nsecret-token-01234567 joe\n"),
              HasSubstr("line 2: the user is not system:serviceaccount:"));
  EXPECT_THAT(Failure("sha256:12" + user), HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(Failure("secret-token-01234567\n"),
              HasSubstr("a token and a user are needed"));
  EXPECT_THAT(Failure("secret-token-01234567 system:serviceaccount:a:b x=y"),
              HasSubstr("only node=, pod= and uid="));
  const std::string line = "secret-token-01234567" + user;
  EXPECT_THAT(Failure(line + line), HasSubstr("the token of an earlier line"));
  EXPECT_THAT(Failure(line, 0644), HasSubstr("chmod 600"));
  EXPECT_THAT(Failure(line, 0644), Not(HasSubstr("secret-token")));
  EXPECT_EQ(Failure("sha256:" + std::string(64, 'a') + user, 0644),
            "it opened");
}

TEST_F(StaticTokensTest, ChangesAreTakenAndMistakesAreNot) {
  const auto tokens = StaticTokens::Open(
      Write("first-token-01234567 system:serviceaccount:mesh:a\n"));
  ASSERT_TRUE(tokens.ok());
  EXPECT_TRUE((*tokens)->Refresh().ok());
  Write("broken\n");
  EXPECT_FALSE((*tokens)->Refresh().ok());
  EXPECT_TRUE((*tokens)->Authenticate("first-token-01234567").ok());
  Write("other-token-01234567 system:serviceaccount:mesh:a\n");
  EXPECT_TRUE((*tokens)->Refresh().ok());
  EXPECT_FALSE((*tokens)->Authenticate("first-token-01234567").ok());
  EXPECT_TRUE((*tokens)->Authenticate("other-token-01234567").ok());
}

}  // namespace
}  // namespace nodeward::ca
