// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/ip.h"
#include "hbone/pod.h"
#include "io/loop.h"

namespace nodeward::hbone {

// The RST of a connection that is refused although the kernel has accepted it
// for the application's port. Sent within microseconds it overtakes the
// client's look at its own connect(): one client then sees a failed connect,
// the next a reset connection. So it waits for the client's first byte, for a
// moment at most, and every client sees the same: connected, then reset.
class Refusal final : public Member, public io::Watcher {
 public:
  // Takes the client's connection over; `age` is how long it has been open.
  // `captured`: what to release in the pod's network afterwards; null: nothing.
  static void Begin(Worker* worker, Pod* pod, Kind kind, base::Fd fd,
                    absl::Duration age, const base::Endpoint* captured);

  Refusal(Worker* worker, Pod* pod, Kind kind, base::Fd fd,
          const base::Endpoint* captured);
  ~Refusal() override;

  void Abort(observe::Outcome outcome, std::string detail) override;

 private:
  void OnEvents(uint32_t events) override;
  void Reset();

  base::Fd fd_;
  io::Timer timer_;
  std::optional<base::Endpoint> captured_;
};

}  // namespace nodeward::hbone
