// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "model/snapshot.h"
#include "policy/authn.h"
#include "policy/request.h"
#include "policy/rules.h"
#include "policy/trust_domain.h"

namespace nodeward::policy {

// A denial is a value, not an error.
struct Verdict {
  // Which question decided: who is it and how does it come (mTLS), or may it?
  enum class Layer { kAuthn, kAuthz };

  bool allow = false;
  Layer layer = Layer::kAuthz;
  std::string reason;  // "plaintext to a STRICT port"; empty when allowed
  // "mtls-test/httpbin": what decided. Empty: nothing but the default.
  std::string policy;
  int rule = -1;  // of that policy, from 0; -1: none of them
  model::MtlsMode mtls = model::MtlsMode::kPermissive;
  std::string mtls_policy;  // where `mtls` comes from; empty: the default

  // What decided, else what the mode of mTLS comes from: for the log.
  const std::string& deciding_policy() const {
    return policy.empty() ? mtls_policy : policy;
  }
};

// Everything that decides about connections into one workload, and nothing
// else. Immutable.
class WorkloadPolicy {
 public:
  using RulesList = std::vector<std::shared_ptr<const Rules>>;

  // `rules`: of the policies that concern the workload, by namespace and name.
  WorkloadPolicy(const model::Snapshot& snapshot,
                 const model::Workload& workload, const TrustDomains& domains,
                 const RulesList& rules);

  // May it come in? Asked before a byte reaches the application and again for
  // every open connection when the snapshot changes. Doubt denies.
  Verdict Decide(const Connection& connection) const;

  // Does a rule ask for the SNI? It is known later than the rest.
  bool WantsSni() const { return wants_sni_; }
  // Does a rule ask for HTTP attributes of what goes to `port`?
  bool WantsHttp(uint16_t port) const;

 private:
  Verdict Authorize(const Connection& connection, Verdict verdict) const;

  const TrustDomains domains_;
  EffectiveMtls mtls_;  // of ports not listed
  std::map<uint16_t, EffectiveMtls> port_mtls_;
  std::optional<model::ClosingPolicy> closing_;
  bool disputed_ = false;  // another pod claims the same address
  RulesList custom_;
  RulesList deny_;
  RulesList allow_;
  bool wants_sni_ = false;
  RulesList http_;  // those that ask for HTTP attributes
};

// All policies of a snapshot, made ready once; those that are in `previous`
// too are taken from there. `snapshot` outlives it.
class Rulebook {
 public:
  explicit Rulebook(const model::Snapshot& snapshot,
                    const Rulebook* previous = nullptr);

  // Any thread.
  std::shared_ptr<const WorkloadPolicy> For(
      const model::Workload& workload) const;

 private:
  const model::Snapshot& snapshot_;
  const TrustDomains domains_;
  // As in snapshot_.authorization_policies; null: decides nothing.
  WorkloadPolicy::RulesList rules_;
};

// For one question: makes ready what concerns the workload, and no more.
Verdict Admit(const model::Snapshot& snapshot, const model::Workload& workload,
              const Connection& connection);

// Before a byte is known: would plaintext be admitted?
inline bool AdmitsPlaintext(const model::Snapshot& snapshot,
                            const model::Workload& workload,
                            const base::IpAddress& source, uint16_t port) {
  return Admit(snapshot, workload, {source, std::nullopt, port}).allow;
}

}  // namespace nodeward::policy
