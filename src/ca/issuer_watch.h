// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status.h"
#include "ca/event.h"
#include "io/loop.h"
#include "pki/authority.h"
#include "pki/issuer_files.h"

namespace nodeward::ca {

// The issuer that counts, kept up with its files.
//
// It looks at them twice a second rather than be told: that also sees a folder
// that is replaced as a whole, a file system over a network, and the links of a
// mounted Secret at any depth. Files that have changed are read when they have
// rested for one look. A new issuer takes the place of the old one in one step,
// and only when it passes all that pki::Authority asks; else the old one stays,
// and an event says why. One that was refused is tried again when its files
// change, and now and then for what only time can mend.
class IssuerWatch {
 public:
  struct Options {
    pki::IssuerPlace place;
    std::string trust_domain;
    absl::Duration look = absl::Milliseconds(500);
    absl::Duration retry = absl::Seconds(30);
    // Wall clock, injected for tests.
    std::function<absl::Time()> clock = [] { return absl::Now(); };
  };
  // An error when there is no good issuer to begin with. `events` is called on
  // the loop; the loop outlives the watch.
  static base::StatusOr<std::unique_ptr<IssuerWatch>> Start(io::Loop& loop,
                                                            Options options,
                                                            EventSink events);

  // Any thread. Never null.
  std::shared_ptr<const pki::Authority> current() const;

 private:
  IssuerWatch(io::Loop& loop, Options options, EventSink events);
  base::StatusOr<std::shared_ptr<const pki::Authority>> Load(
      std::string* reason) const;
  std::string Look() const;
  void OnTimer();
  void Update();
  void Refuse(const std::string& reason, const std::string& why);

  const Options options_;
  const EventSink events_;
  std::string loaded_;  // what Look said when `current_` was read, or refused
  std::string last_look_;  // what it said the last time
  std::string refusal_;    // told; empty: the last attempt succeeded
  absl::Time refused_at_ = absl::InfinitePast();
  io::Timer timer_;
  mutable base::Mutex mutex_;
  std::shared_ptr<const pki::Authority> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace nodeward::ca
