// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "io/loop.h"
#include "pki/certificate.h"
#include "tls/session.h"

namespace nodeward::hbone {

// When a connection must end that would outlive its certificates: the grace
// after the first of the two ends is over. Without one set the grace is as long
// as that certificate was good for.
struct LastInstant {
  absl::Time at = absl::InfiniteFuture();
  std::string why;
};
LastInstant LastInstantOf(const pki::Certificate& own,
                          const pki::Certificate& peer,
                          std::optional<absl::Duration> grace);

// Watches one established session and says when its time is over.
class Expiry {
 public:
  Expiry(io::Loop& loop, std::function<void(const std::string& why)> over);
  // REQUIRES: established.
  void Watch(const tls::Session& session, std::optional<absl::Duration> grace);
  void Cancel() { timer_.Cancel(); }

 private:
  void Look();

  const std::function<void(const std::string& why)> over_;
  LastInstant last_;
  io::Timer timer_;
};

}  // namespace nodeward::hbone
