// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "base/text.h"
#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

using ::testing::HasSubstr;

const std::vector<CommandWords> kCommands = {
    {"", "", {"--help", "--run-dir"}},
    {"edges", "Show who's there", {"--output", "-o", "--namespace"}},
    {"completion", "Print it", {"--help"}}};

std::string Script(const std::string& shell) {
  FakeEnvironment fake;
  const auto status = PrintCompletion(fake.environment(), shell, kCommands);
  EXPECT_TRUE(status.ok()) << status.status();
  return fake.out();
}

// What bash offers for the words typed so far, the last one unfinished.
std::string Offered(const std::string& typed) {
  std::string file = ::testing::TempDir() + "nodeward-completion-XXXXXX";
  close(mkstemp(file.data()));
  std::ofstream(file) << Script("bash") << "COMP_WORDS=(" << typed << ")\n"
                      << "COMP_CWORD=$((${#COMP_WORDS[@]}-1))\n"
                      << "_nodeward\necho \"${COMPREPLY[@]}\"\n";
  FILE* const pipe = popen(base::StrCat("bash ", file).c_str(), "r");
  char line[1024] = {};
  if (fgets(line, sizeof(line), pipe) == nullptr) line[0] = '\0';
  EXPECT_EQ(pclose(pipe), 0);
  unlink(file.c_str());
  return line;
}

TEST(CompletionTest, BashCompletesCommandsAndTheirOptions) {
  EXPECT_EQ(Offered("nodeward ''"), "--help --run-dir edges completion\n");
  EXPECT_EQ(Offered("nodeward ed"), "edges\n");
  EXPECT_EQ(Offered("nodeward edges --"), "--output --namespace\n");
  EXPECT_EQ(Offered("nodeward --run-dir /x edges --n"), "--namespace\n");
  EXPECT_EQ(Offered("nodeward completion f"), "fish\n");
  EXPECT_EQ(Offered("nodeward edges zzz"), "\n");
}

TEST(CompletionTest, ZshHasEveryCommand) {
  const std::string script = Script("zsh");
  EXPECT_THAT(script, ::testing::StartsWith("#compdef nodeward\n"));
  EXPECT_THAT(script, HasSubstr("edges) offered=(--output -o --namespace) ;;"));
  EXPECT_THAT(script, HasSubstr("completion) offered=(--help bash zsh fish)"));
}

TEST(CompletionTest, FishHasEveryCommand) {
  const std::string script = Script("fish");
  EXPECT_THAT(script, HasSubstr("complete -c nodeward -f -n "
                                "__fish_use_subcommand -a edges -d "
                                "'Show who\\'s there'\n"));
  EXPECT_THAT(script, HasSubstr("complete -c nodeward -n "
                                "'__fish_seen_subcommand_from edges' -s o\n"));
}

TEST(CompletionTest, AnotherShellIsAnError) {
  FakeEnvironment fake;
  EXPECT_THAT(std::string(PrintCompletion(fake.environment(), "csh", kCommands)
                              .status()
                              .message()),
              HasSubstr("use bash, zsh or fish"));
}

}  // namespace
}  // namespace nodeward::cli
