// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status.h"
#include "ca/caller.h"
#include "pki/digest.h"

namespace nodeward::ca {

// The TokenReview that asks whether `token` is good for one of `audiences`.
std::string MakeTokenReview(const std::string& token,
                            const std::vector<std::string>& audiences);

// Whom the API server's answer proves. All of this must hold: authenticated, no
// error, one of `audiences` among those that it names (an empty list comes from
// a server that knows no audiences: refused), a ServiceAccount's username.
base::StatusOr<Caller> ReadTokenReview(
    std::string_view json, const std::vector<std::string>& audiences);

// Has Kubernetes review tokens. What was good is good for `keep`, so that an
// agent which starts costs one review and not hundreds; as long at most does a
// token outlive its pod here.
class TokenReview final : public Authenticator {
 public:
  // Sends a body to the API's path and returns status and body.
  using Post = std::function<base::StatusOr<std::pair<long, std::string>>(
      const std::string& path, const std::string& json)>;
  struct Options {
    std::vector<std::string> audiences;
    absl::Duration keep = absl::Seconds(10);
    size_t max_kept = 20000;
    // Wall clock, injected for tests.
    std::function<absl::Time()> clock = [] { return absl::Now(); };
  };
  TokenReview(Options options, std::string server, Post post);

  base::StatusOr<Caller> Authenticate(const std::string& token) override;
  std::string Description() const override;

 private:
  struct Kept {
    Caller caller;
    absl::Time until;
  };
  base::StatusOr<Caller> Ask(const std::string& token) const;
  void Keep(const pki::Digest& digest, const Caller& caller, absl::Time now);

  const Options options_;
  const std::string server_;
  const Post post_;
  base::Mutex mutex_;
  absl::flat_hash_map<pki::Digest, Kept> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace nodeward::ca
