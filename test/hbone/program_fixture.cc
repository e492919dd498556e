// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "hbone/program.h"
#include "hbone/tcp.h"

namespace nodeward::hbone {

std::vector<std::string> PeerScript(const std::string& script) {
  const auto tests = std::filesystem::path(NODEWARD_TEST_DATA).parent_path();
  return {"/usr/bin/python3", (tests / "hbone/peers" / script).string()};
}

Program::Program(const std::vector<std::string>& words) {
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return;
  std::vector<char*> arguments;
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  input_.Reset(in[1]);
  output_.Reset(out[0]);
}

Program::~Program() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::string Program::ReadLine() {
  for (;;) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      const std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    pollfd p{output_.get(), POLLIN, 0};
    if (poll(&p, 1, 30'000) <= 0) return "";
    char chunk[4096];
    const ssize_t n = read(output_.get(), chunk, sizeof(chunk));
    if (n <= 0) return "";
    buffer_.append(chunk, static_cast<size_t>(n));
  }
}

int Program::ExitStatus() {
  input_.Reset();
  int status = -1;
  const bool ended =
      Await([&] { return waitpid(pid_, &status, WNOHANG) == pid_; });
  if (!ended) return -1;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace nodeward::hbone
