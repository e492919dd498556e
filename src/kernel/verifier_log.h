// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace nodeward::kernel {

// What libbpf says on this thread while an object lives, kept instead of
// printed: the verifier's verdict ends up in the error, nowhere else. Of
// several the newest gets it.
class VerifierLog {
 public:
  VerifierLog();
  ~VerifierLog();
  VerifierLog(const VerifierLog&) = delete;
  VerifierLog& operator=(const VerifierLog&) = delete;

  void Add(std::string_view text) { text_ += text; }
  // The last lines, joined by " | ".
  std::string Tail() const;

 private:
  VerifierLog* former_;
  std::string text_;
};

}  // namespace nodeward::kernel
