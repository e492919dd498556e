// SPDX-License-Identifier: Apache-2.0
//
// model: words for the mesh. Plain values: who (identity), where (workload,
// service), what is allowed (policy), all of it at one instant (snapshot).
// No I/O, no clock, no thread; a Snapshot is immutable once built and shared
// freely between threads.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace nodeward::model {

// A workload identity: trust domain, namespace and ServiceAccount.
struct Identity {
  std::string trust_domain;
  std::string name_space;
  std::string service_account;

  // "spiffe://<trust domain>/ns/<ns>/sa/<sa>", exactly that form and no other
  // (SPIFFE-ID section 2; ztunnel and istiod parse it as strictly).
  static base::StatusOr<Identity> ParseSpiffe(std::string_view uri);
  std::string ToSpiffe() const;
  // The form AuthorizationPolicy uses: without "spiffe://".
  std::string ToPrincipal() const;

  friend auto operator<=>(const Identity&, const Identity&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Identity& id) {
    return H::combine(std::move(h), id.trust_domain, id.name_space,
                      id.service_account);
  }
};

}  // namespace nodeward::model
