// SPDX-License-Identifier: Apache-2.0
#include "kernel/verifier_log.h"

#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/text.h"

namespace nodeward::kernel {
namespace {

using ::testing::HasSubstr;

// Makes libbpf complain.
void Complain() {
  EXPECT_EQ(bpf_object__open_mem("not ELF", 7, nullptr), nullptr);
}

TEST(VerifierLogTest, KeepsWhatLibbpfSays) {
  VerifierLog log;
  Complain();
  EXPECT_THAT(log.Tail(), HasSubstr("libbpf"));
}

TEST(VerifierLogTest, TailIsTheLastLines) {
  VerifierLog log;
  for (int i = 1; i <= 100; ++i) log.Add(base::StrCat("line ", i, "\n\n"));
  EXPECT_EQ(log.Tail().substr(0, 18), "line 89 | line 90 ");
  EXPECT_THAT(log.Tail(), ::testing::EndsWith("line 100"));
}

TEST(VerifierLogTest, TheNewestGetsItAndTheFormerFollows) {
  VerifierLog outer;
  {
    VerifierLog inner;
    Complain();
    EXPECT_NE(inner.Tail(), "");
  }
  EXPECT_EQ(outer.Tail(), "");
  Complain();
  EXPECT_NE(outer.Tail(), "");
}

TEST(VerifierLogTest, ThreadsDoNotMix) {
  VerifierLog log;
  std::thread(Complain).join();
  EXPECT_EQ(log.Tail(), "");
}

}  // namespace
}  // namespace nodeward::kernel
