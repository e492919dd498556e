// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <utility>

#include "base/status.h"
#include "ca/caller.h"
#include "ca/pod_directory.h"
#include "model/identity.h"

namespace nodeward::ca {

// Who may ask for whom.
class Authorizer {
 public:
  struct Options {
    std::string trust_domain;
    // Namespace and name of the ServiceAccounts of nodes' agents.
    std::set<std::pair<std::string, std::string>> trusted_agents;
  };
  explicit Authorizer(Options options) : options_(std::move(options)) {}

  // The identity that `caller` may have: its own when `impersonated` is empty,
  // else that SPIFFE ID, for which all of this must hold, each by itself:
  //  1. its ServiceAccount is a trusted agent's;
  //  2. its token says on which node it runs; or it names a pod, which is in
  //     `pods` with the same UID and ServiceAccount, and that one's node is
  //     known;
  //  3. in `pods` there is a pod on that node with that identity, of our trust
  //     domain, in the mesh: enrolled, not ended, not on the host's network.
  // PermissionDenied names the one that fails; InvalidArgument: it is no SPIFFE
  // ID; Unavailable: `pods` could not say. It is asked about nothing before 1
  // holds. Null: nothing is known of pods, so nobody is impersonated.
  base::StatusOr<model::Identity> Authorize(const Caller& caller,
                                            const std::string& impersonated,
                                            const PodDirectory* pods) const;

 private:
  base::StatusOr<std::string> NodeOf(const Caller& caller,
                                     const PodDirectory& pods) const;

  const Options options_;
};

}  // namespace nodeward::ca
