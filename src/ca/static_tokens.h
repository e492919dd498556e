// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "base/status.h"
#include "ca/caller.h"
#include "pki/digest.h"

namespace nodeward::ca {

// Tokens in a file, for where there is no Kubernetes. A line each:
//
//   TOKEN system:serviceaccount:NS:ACCOUNT [node=NODE] [pod=NAME] [uid=UID]
//
// TOKEN is the token itself (16 characters or more) or sha256:<hex of it>; "#"
// starts a comment. The file belongs to its owner alone (0600) unless every
// line has a digest. One with a mistake keeps the last good state.
class StaticTokens final : public Authenticator {
 public:
  static base::StatusOr<std::unique_ptr<StaticTokens>> Open(std::string file);

  base::StatusOr<Caller> Authenticate(const std::string& token) override;
  std::string Description() const override;
  // Reads the file if it has changed since. An error changes nothing. For one
  // thread.
  base::Status Refresh();

 private:
  // Tokens are held and compared as digests: how long that takes says nothing
  // about any of them.
  using Table = absl::flat_hash_map<pki::Digest, Caller>;
  explicit StaticTokens(std::string file) : file_(std::move(file)) {}
  static base::StatusOr<Table> Parse(std::string_view text,
                                     bool others_may_read);

  const std::string file_;
  std::string read_state_;  // of the file when it was read last
  mutable base::Mutex mutex_;
  Table tokens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace nodeward::ca
