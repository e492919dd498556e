// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/json.h"
#include "kube/http_client.h"

namespace nodeward::kube {

// The protocol by which one of several leads: a Lease
// (coordination.k8s.io/v1), used as client-go does, so that its tools
// understand ours. Says what to ask next, takes what is answered. Does no I/O.
//
// Whoever holds the Lease renews it; who finds that it has not changed for as
// long as it says, by its own clock since it saw the last change, takes it. A
// write counts only against the version that was read. There is no fencing: a
// leader that was stopped in its sleep may for a moment not know that it is
// none any more, so what it does must bear being done twice.
class Election {
 public:
  struct Options {
    std::string place;     // "NAMESPACE/NAME" of the Lease
    std::string identity;  // ours; nobody else's, not even our successor's
    std::map<std::string, std::string> labels = {};  // of a Lease that we make
    absl::Duration lease = absl::Seconds(15);
    // A leader that could not renew for so long is none any more.
    absl::Duration renew = absl::Seconds(10);
    absl::Duration retry = absl::Seconds(2);
    // Wall clock, for what the Lease shows.
    std::function<absl::Time()> clock = [] { return absl::Now(); };
  };
  // The next request, after a while.
  struct Step {
    absl::Duration delay;
    HttpClient::Request request;
  };

  // `random` gives 0 to 1.
  Election(Options options, std::function<double()> random);

  // `now` is of a clock that never goes back.
  Step Begin() const;
  // When the request is sent, and when its answer is there.
  void OnSent(absl::Duration now) { sent_ = now; }
  Step OnAnswer(const HttpClient::Answer& answer, absl::Duration now);

  bool Leads(absl::Duration now) const {
    return leads_ && now - renewed_ < options_.renew;
  }
  // For as long as it leads: when it does not any more unless it renews.
  absl::Duration LeadsUntil() const { return renewed_ + options_.renew; }
  // Gives the Lease back, so that nobody needs to wait. From then on it does
  // not lead. Only while it leads.
  HttpClient::Request Resign();
  // Who leads as far as is known; may be empty.
  const std::string& holder() const { return holder_; }
  // Why the Lease can be neither read nor written; empty: all is well.
  const std::string& problem() const { return problem_; }

 private:
  enum class Asked { kRead, kUpdate, kCreate };

  Step Read(absl::Duration delay) const;
  Step Write(absl::Duration delay);
  Step Again();
  Step Fail(const HttpClient::Answer& answer);
  void Observe(base::Json lease, absl::Duration now);
  bool IsFree(absl::Duration now) const;
  void Fill(std::string_view holder, absl::Duration lease, absl::Time at,
            base::Json* spec) const;

  const Options options_;
  const std::function<double()> random_;
  const std::string folder_;  // "/apis/…/leases"
  const std::string name_;
  Asked asked_ = Asked::kRead;
  absl::Duration sent_;
  bool leads_ = false;
  absl::Duration renewed_;  // when the request was sent that last did
  base::Json lease_;        // as last seen; null: there is none
  std::string seen_;        // its spec, to tell a change by
  std::string holder_;
  absl::Duration observed_;  // when it was first seen like this
  std::string problem_;
};

}  // namespace nodeward::kube
