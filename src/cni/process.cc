// SPDX-License-Identifier: Apache-2.0
#include "cni/process.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cni/ask.h"
#include "cni/file.h"
#include "cni/plugin.h"

namespace nodeward::cni {
namespace {

// The agent gives up before, and the runtime after.
constexpr absl::Duration kAgentPatience = absl::Seconds(30);
constexpr absl::Duration kApiPatience = absl::Seconds(4);
constexpr size_t kLargestInput = 4 << 20;

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string ReadInput() {
  std::string text;
  char buffer[16 * 1024];
  while (text.size() < kLargestInput) {
    const ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  return text;
}

}  // namespace

int RunProcess() {
  signal(SIGPIPE, SIG_IGN);
  const World world = {
      .ask_agent =
          [](const std::string& socket, const Question& question) {
            return AskAgent(socket, question, kAgentPatience);
          },
      .get =
          [](const Kubeconfig& config, const std::string& target) {
            return HttpsGet(config, target, kApiPatience);
          },
      .read = ReadFile};
  // Without a command somebody tries it by hand, and would be left waiting.
  const bool called = !Variable("CNI_COMMAND").empty();
  const Outcome outcome = RunPlugin(Variable, called ? ReadInput() : "", world);
  (void)fwrite(outcome.output.data(), 1, outcome.output.size(), stdout);
  return fflush(stdout) == 0 ? outcome.exit_status : 1;
}

}  // namespace nodeward::cni
