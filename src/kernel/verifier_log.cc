// SPDX-License-Identifier: Apache-2.0
#include "kernel/verifier_log.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace nodeward::kernel {
namespace {

constexpr size_t kTailLines = 12;

// Where this thread's messages go; null: nobody wants them.
thread_local VerifierLog* current = nullptr;

int Print(libbpf_print_level level, const char* format, va_list arguments) {
  if (current == nullptr || level == LIBBPF_DEBUG) return 0;
  // The log is one message of up to 16 MB, hence no fixed buffer.
  char* text = nullptr;
  if (vasprintf(&text, format, arguments) < 0) return 0;
  current->Add(text);
  free(text);
  return 0;
}

}  // namespace

VerifierLog::VerifierLog() : former_(current) {
  libbpf_set_print(Print);
  current = this;
}

VerifierLog::~VerifierLog() { current = former_; }

std::string VerifierLog::Tail() const {
  std::vector<std::string_view> lines;
  std::string_view rest = text_;
  while (!rest.empty()) {
    size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (!line.empty()) lines.push_back(line);
  }
  size_t first = lines.size() > kTailLines ? lines.size() - kTailLines : 0;
  std::string tail;
  for (size_t i = first; i < lines.size(); ++i) {
    if (!tail.empty()) tail += " | ";
    tail += lines[i];
  }
  return tail;
}

}  // namespace nodeward::kernel
