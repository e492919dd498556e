// SPDX-License-Identifier: Apache-2.0
#include "cni/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "base/json.h"
#include "capture/loop_thread.h"
#include "cni/decision.h"
#include "cni/folder.h"
#include "cni/server.h"

namespace nodeward::cni {
namespace {

using testing::HasSubstr;

struct Result {
  int exit_status = -1;
  std::string output;
};

// The plugin as runtimes start it: a process with that environment and the
// configuration on standard input.
Result Call(const Folder& folder, const std::map<std::string, std::string>& set,
            const std::string& configuration) {
  folder.Write("in", configuration);
  const std::string in = folder / "in";
  const std::string out = folder / "out";
  const pid_t child = fork();
  if (child == 0) {
    clearenv();
    for (const auto& [name, value] : set) {
      setenv(name.c_str(), value.c_str(), 1);
    }
    const int from = open(in.c_str(), O_RDONLY);
    const int to = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (dup2(from, STDIN_FILENO) < 0 || dup2(to, STDOUT_FILENO) < 0) _exit(99);
    _exit(RunProcess());
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, folder.Read("out")};
}

TEST(ProcessTest, Version) {
  const Folder folder;
  const Result result =
      Call(folder, {{"CNI_COMMAND", "VERSION"}}, R"({"cniVersion":"0.4.0"})");
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_THAT(result.output, HasSubstr(R"("cniVersion":"0.4.0")"));
}

TEST(ProcessTest, ByHandItSaysWhatItIs) {
  const Folder folder;
  const Result result = Call(folder, {}, "");
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_THAT(result.output, HasSubstr("container runtimes call this"));
}

TEST(ProcessTest, AddWithAndWithoutAnAgent) {
  const Folder folder;
  const std::map<std::string, std::string> add = {
      {"CNI_COMMAND", "ADD"},
      {"CNI_CONTAINERID", "c1"},
      {"CNI_NETNS", "/var/run/netns/cni-1"},
      {"CNI_IFNAME", "eth0"},
      {"CNI_PATH", "/opt/cni/bin"},
      {"CNI_ARGS", "K8S_POD_NAMESPACE=full;K8S_POD_NAME=p;K8S_POD_UID=u1"}};
  const std::string previous =
      R"({"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":)"
      R"("/var/run/netns/cni-1"}],"ips":[{"interface":0,"address":)"
      R"("10.0.0.7/24","gateway":"10.0.0.1"}],"dns":{}})";
  const base::Json configuration = {{"cniVersion", "1.0.0"},
                                    {"name", "pods"},
                                    {"type", "nodeward-cni"},
                                    {"socket", folder / "cni.sock"},
                                    {"kubeconfig", folder / "none"},
                                    {"namespaces", folder / "namespaces"},
                                    {"prevResult", *base::ParseJson(previous)}};
  folder.Write("namespaces", TextOf(KnownNamespaces{{"full", true}}));
  const Result alone = Call(folder, add, configuration.dump());
  EXPECT_EQ(alone.exit_status, 1);
  EXPECT_THAT(alone.output, HasSubstr(R"("code":11)"));
  EXPECT_THAT(alone.output, HasSubstr("or a pod there was opted in"));

  capture::LoopThread loop;
  std::unique_ptr<Server> server;
  Question asked;
  loop.Do([&] {
    server = *Server::Listen(
        loop.loop(), folder / "cni.sock",
        [&](const Question& question, const Server::Reply& reply) {
          asked = question;
          reply({Answer::Kind::kCaptured, ""});
        },
        {});
  });
  const Result result = Call(folder, add, configuration.dump());
  loop.Do([&] { server.reset(); });
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_EQ(result.output, base::ParseJson(previous)->dump() + "\n");
  EXPECT_EQ(asked.ips, std::vector{*base::IpAddress::Parse("10.0.0.7")});
  EXPECT_EQ(asked.uid, "u1");
}

}  // namespace
}  // namespace nodeward::cni
