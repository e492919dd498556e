// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"

namespace nodeward::hbone {

// The words that run test/hbone/peers/<script> with Debian's Python, which has
// the h2 module.
std::vector<std::string> PeerScript(const std::string& script);

// A child process in our network namespace, its standard input and output
// held; killed at the end.
class Program {
 public:
  explicit Program(const std::vector<std::string>& words);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // The next line of its output; empty when there is none in time.
  std::string ReadLine();
  // Closes its input and awaits its end.
  int ExitStatus();

 private:
  pid_t pid_ = -1;
  base::Fd input_;
  base::Fd output_;
  std::string buffer_;
};

}  // namespace nodeward::hbone
