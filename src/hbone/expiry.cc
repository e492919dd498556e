// SPDX-License-Identifier: Apache-2.0
#include "hbone/expiry.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/text.h"

namespace nodeward::hbone {
namespace {

// The wall clock may jump while the timer counts on.
constexpr absl::Duration kLongestSleep = absl::Hours(1);

LastInstant InstantOf(const pki::Certificate& certificate,
                      std::string_view whose,
                      std::optional<absl::Duration> grace) {
  const absl::Time end = certificate.not_after();
  const absl::Duration wait = grace.value_or(end - certificate.not_before());
  return {end + wait, base::StrCat(whose, " certificate (serial ",
                                   certificate.SerialHex(), ") expired on ",
                                   absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", end,
                                                    absl::UTCTimeZone()),
                                   ", and connections may outlive it by ",
                                   absl::FormatDuration(wait), " only")};
}

}  // namespace

LastInstant LastInstantOf(const pki::Certificate& own,
                          const pki::Certificate& peer,
                          std::optional<absl::Duration> grace) {
  LastInstant ours = InstantOf(own, "our own", grace);
  LastInstant theirs = InstantOf(peer, "the peer's", grace);
  return ours.at <= theirs.at ? ours : theirs;
}

Expiry::Expiry(io::Loop& loop, std::function<void(const std::string&)> over)
    : over_(std::move(over)), timer_(loop, [this] { Look(); }) {}

void Expiry::Watch(const tls::Session& session,
                   std::optional<absl::Duration> grace) {
  const auto peer = session.PeerCertificate();
  if (!peer.has_value()) return;
  last_ = LastInstantOf(session.context().credential().leaf(), *peer, grace);
  // Not at once: whoever calls is in the middle of its handshake.
  timer_.Set(absl::ZeroDuration());
}

void Expiry::Look() {
  const absl::Duration left = last_.at - absl::Now();
  if (left <= absl::ZeroDuration()) return over_(last_.why);
  timer_.Set(std::min(left, kLongestSleep));
}

}  // namespace nodeward::hbone
