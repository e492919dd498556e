// SPDX-License-Identifier: Apache-2.0
//
// identity: who we are. Keeps a fresh credential in the store for every
// identity that has a pod here. Runs on the control loop.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "identity/trust.h"
#include "io/loop.h"
#include "model/identity.h"
#include "pki/credential.h"
#include "pki/issuer.h"

namespace nodeward::identity {

enum class CertificateState { kPending, kValid, kRenewalFailing, kExpired };
std::string_view CertificateStateText(CertificateState state);

struct CertificateStatus {
  model::Identity identity;
  CertificateState state = CertificateState::kPending;
  std::string serial;    // of the last certificate; empty: none yet
  absl::Time not_after;  // of the same
  absl::Time next_attempt;
  std::string error;  // of the last attempt; empty when it succeeded
  int failures = 0;   // in a row
  absl::Time not_before = absl::InfinitePast();  // of the last certificate
  absl::Time received = absl::InfinitePast();    // when it came
  std::string issuer;                            // one line
};

// New identities are asked for at once, at most 8 at a time, renewals at half
// of a certificate's life. A failure is tried again ever more slowly (1 s to
// 150 s; to 15 s where there is no valid one) and leaves the old credential in
// the store while it is valid; an expired one is taken out. What the CA answers
// is checked before it is used, against the roots that peers will check it
// against. The roots of the newest answer are offered to Trust, before the
// credential is stored.
class Renewer {
 public:
  struct Options {
    // Wall clock, injected for tests.
    std::function<absl::Time()> clock = [] { return absl::Now(); };
  };
  // `changed` is called on the loop, with no call of ours on the stack, after
  // the store has changed. All outlive the renewer, which may be destroyed in
  // `changed` and with requests open. The store keeps what it has.
  Renewer(io::Loop& loop, pki::Issuer* issuer, pki::CredentialStore* store,
          Trust* trust, Options options, std::function<void()> changed);
  ~Renewer();

  // The identities with pods here, as of now: new ones are asked for at once,
  // those no longer in the set are dropped and their keys wiped. Also a way to
  // make it look at the clock.
  void SetWanted(std::set<model::Identity> wanted);
  // The roots have changed: what does not lead to one of them is asked for anew
  // at once, and serves on meanwhile; what was refused is tried again.
  void TrustChanged();
  std::vector<CertificateStatus> status() const;
  // Every wanted identity has a certificate that is valid now.
  bool complete() const;
  std::string IssuerDescription() const;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace nodeward::identity
