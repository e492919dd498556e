// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/log.h"
#include "observe/flow.h"

namespace nodeward::observe {

// One line about an ended connection, without a line feed:
//
//   2026-01-02T03:04:05.678Z info access direction=inbound
//     src.addr=10.0.0.7:41234 src.workload=sleep src.namespace=full
//     src.identity=spiffe://… dst.addr=10.0.0.9:80 dst.workload=… …
//     security=mutual_tls verdict=allowed outcome=closed policy=-
//     bytes_sent=78 bytes_recv=512 duration=3.2ms reason=-
//
// or the same as one JSON object, where numbers are numbers, duration is in
// seconds and what is not known is left out ("-" in text). `verdict` is refused
// when nodeward itself said no, else allowed. Values that came from outside are
// quoted, so that they cannot forge a field or a line.
std::string AccessLine(const Flow& flow, absl::Time now,
                       base::LogFormat format);

// Gathers the lines of a batch and hands them over at once. One thread.
//
// Refusals cost their sender little, so of each outcome no more than
// kRefusalsPerSecond are written in a second; the rest is one line:
//
//   2026-01-02T03:04:06.678Z info access_left_out outcome=denied_request
//     lines=51234
class AccessLog {
 public:
  static constexpr uint64_t kRefusalsPerSecond = 100;

  // `write` gets whole lines, each with its line feed. The default is standard
  // output: the agent's own log has standard error.
  explicit AccessLog(base::LogFormat format,
                     std::function<void(std::string_view)> write = {});

  void Add(const Flow& flow, absl::Time now);
  // Hands over what is gathered, with the lines for what was left out in
  // seconds that have ended (`last`: in all). True: there is more to tell, ask
  // again in a second.
  bool Flush(absl::Time now, bool last = false);

 private:
  struct Second {
    absl::Time begin = absl::InfinitePast();
    uint64_t written = 0;
    uint64_t left_out = 0;
  };
  bool Admits(Outcome outcome, absl::Time now);
  void TellLeftOut(Outcome outcome, absl::Time now, Second* second);

  base::LogFormat format_;
  std::function<void(std::string_view)> write_;
  std::string lines_;
  std::map<Outcome, Second> seconds_;  // of refusals
};

}  // namespace nodeward::observe
