// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer entry, not part of the ordinary build:
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Isrc -Itest
//     test/fuzz/spectator_fuzz.cc
//     src/http/{spectator,http1_sight,http2_sight,head,chunks,beast_head}.cc
//     -labsl_statusor -labsl_status -labsl_strings -labsl_cord
//     -labsl_raw_logging_internal -lnghttp2 -o /tmp/fuzz
// A byte says who speaks and how much of the rest: what is told must be in
// order, whatever is said, and the same in pieces of any size.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string_view>

#include "http/spectator_fixture.h"

namespace {

using nodeward::http::Watched;

std::vector<std::string> Run(std::string_view input, size_t step, bool h2) {
  Watched watched;
  if (h2) watched.Client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  while (!input.empty()) {
    const auto head = static_cast<uint8_t>(input[0]);
    input.remove_prefix(1);
    std::string_view part = input.substr(0, head >> 1);
    input.remove_prefix(part.size());
    for (; !part.empty(); part.remove_prefix(std::min(step, part.size()))) {
      if ((head & 1) != 0) {
        watched.Server(part.substr(0, step));
      } else {
        watched.Client(part.substr(0, step));
      }
    }
  }
  watched.spectator.End("reset");
  return watched.told;
}

// A request, an answer at most, the end.
void CheckOrder(const std::vector<std::string>& told) {
  std::map<std::string, int> stages;
  for (const std::string& line : told) {
    if (&line == &told.back() && line == "opaque") break;
    const std::string number = line.substr(0, line.find(' '));
    const bool ends = line.starts_with(number + " end ");
    int& stage = stages[number];
    if (stage == 0 && ends) abort();
    if (stage == 3) abort();
    stage = ends ? 3 : stage + 1;
    if (stage == 3 && !ends) abort();
  }
  for (const auto& [number, stage] : stages) {
    if (stage != 3) abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1,
                               size - 1);
  const bool h2 = (data[0] & 1) != 0;
  const auto whole = Run(input, 1 << 20, h2);
  CheckOrder(whole);
  if (Run(input, 1 + (data[0] >> 1) % 7, h2) != whole) abort();
  return 0;
}
