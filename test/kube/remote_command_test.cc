// SPDX-License-Identifier: Apache-2.0
#include "kube/remote_command.h"

#include <gtest/gtest.h>

namespace nodeward::kube {
namespace {

TEST(RemoteCommandTest, AsksForACommand) {
  EXPECT_EQ(RemoteCommand::Target({"sys", "agent-1", "agent"},
                                  {"/bin/x", "-o", "a b&c"}),
            "/api/v1/namespaces/sys/pods/agent-1/exec?stdout=true&stderr=true"
            "&container=agent&command=%2Fbin%2Fx&command=-o"
            "&command=a%20b%26c");
  EXPECT_EQ(RemoteCommand::Protocols().front(), "v5.channel.k8s.io");
}

TEST(RemoteCommandTest, PutsItsOutputTogether) {
  RemoteCommand command;
  for (const char* message : {"\1", "\2", "\3", "\1one ", "\2oops", "\1two"}) {
    command.Take(message);
  }
  command.Take("");
  EXPECT_FALSE(command.ended());
  command.Take("\3{\"status\":\"Success\"}");
  EXPECT_TRUE(command.ended());
  command.Take("\1 three");  // another stream, and so perhaps later
  const auto result = std::move(command).Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "one two three");
  EXPECT_EQ(result->err, "oops");
  EXPECT_EQ(result->exit_status, 0);
}

TEST(RemoteCommandTest, AnExitStatusIsNoFailure) {
  RemoteCommand command;
  command.Take(
      "\3{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":"
      "{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"3\"}]}}");
  const auto result = std::move(command).Finish();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_status, 3);
}

TEST(RemoteCommandTest, WhatCouldNotBeRunFails) {
  RemoteCommand command;
  command.Take(
      "\3{\"status\":\"Failure\",\"reason\":\"InternalError\",\"message\":"
      "\"no such container\"}");
  EXPECT_EQ(std::move(command).Finish().status().message(),
            "no such container");
}

TEST(RemoteCommandTest, AnEndBeforeItsOwnFails) {
  RemoteCommand command;
  command.Take("\1half");
  EXPECT_FALSE(std::move(command).Finish().ok());
  RemoteCommand garbled;
  garbled.Take("\3no JSON");
  EXPECT_FALSE(std::move(garbled).Finish().ok());
}

TEST(RemoteCommandTest, ItMayNotSayTooMuch) {
  RemoteCommand command;
  const std::string part = "\1" + std::string(1 << 20, 'x');
  for (int i = 0; i < 20; ++i) command.Take(part);
  command.Take("\3{\"status\":\"Success\"}");
  EXPECT_FALSE(std::move(command).Finish().ok());
}

}  // namespace
}  // namespace nodeward::kube
