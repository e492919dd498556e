// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "http/spectator.h"
#include "observe/flow.h"
#include "observe/tap.h"

namespace nodeward::hbone {

class Worker;

// Where running taps look at one connection: beside its bytes, which it never
// holds up and never changes. Made when the connection is admitted and
// everything but its end is known.
class TapPoint final : private http::SpectatorUser {
 public:
  // Null: no tap wants it.
  static std::unique_ptr<TapPoint> Begin(const Worker& worker,
                                         const observe::Flow& flow);
  TapPoint(const Worker& worker, const observe::Flow& flow,
           std::vector<std::shared_ptr<observe::Tap>> taps);

  void FromClient(base::ByteSpan bytes);
  void FromServer(base::ByteSpan bytes);
  // With its outcome; once.
  void End(const observe::Flow& flow);

 private:
  // What a tap shows of an exchange; none: nothing.
  using Shown = std::vector<std::optional<observe::TapId>>;  // one a tap
  struct Exchange {
    Shown ids;
    absl::Duration began;
    std::optional<absl::Duration> answered;
  };

  void OnRequest(uint64_t exchange, const http::SeenRequest& request) override;
  void OnResponse(uint64_t exchange, int status) override;
  void OnExchangeEnd(uint64_t exchange, const http::SeenEnd& end) override;
  void OnOpaque() override;

  bool watched();
  absl::Duration now() const;
  void Push(const Shown& ids, const observe::TapEvent& event);

  const Worker& worker_;
  const std::shared_ptr<const observe::TapConnection> connection_;
  std::vector<std::shared_ptr<observe::Tap>> taps_;
  http::Spectator spectator_;
  absl::flat_hash_map<uint64_t, Exchange> exchanges_;
  Shown opened_;  // as a stream of bytes; empty: it is none
};

}  // namespace nodeward::hbone
