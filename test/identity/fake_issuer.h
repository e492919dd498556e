// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "pki/csr.h"
#include "pki/forge.h"
#include "pki/issuer.h"

namespace nodeward::identity {

// Keeps the requests until the test answers them; any thread, one at a time.
class FakeIssuer : public pki::Issuer {
 public:
  using Done = std::function<void(base::StatusOr<pki::Issued>)>;
  struct Request {
    model::Identity identity;
    std::string csr;
    Done done;
  };

  void Issue(const model::Identity& identity, std::string csr_pem,
             Done done) override {
    ++asked;
    asked_at = clock();
    requests.push_back({identity, std::move(csr_pem), std::move(done)});
    if (at_once) AnswerFirst();
  }
  std::string Description() const override { return "fake"; }

  // What an honest CA says to `request`.
  pki::Issued Honest(const Request& request) const {
    const pki::Csr csr = *pki::Csr::ParsePem(request.csr);
    const absl::Time now = clock();
    return {.chain = {*pki::SignLeaf(
                root, csr.public_key(), request.identity,
                {.not_before = now, .not_after = now + lifetime})},
            .roots = {root.certificate}};
  }
  Request TakeFirst() {
    Request request = std::move(requests.front());
    requests.pop_front();
    return request;
  }
  void AnswerFirst() {
    const Request request = TakeFirst();
    if (failing) {
      request.done(absl::UnavailableError("the CA is away"));
    } else {
      request.done(Honest(request));
    }
  }

  pki::Root root = pki::NewRoot();
  std::function<absl::Time()> clock = [] { return absl::Now(); };
  absl::Duration lifetime = absl::Hours(24);
  bool at_once = false;
  bool failing = false;
  int asked = 0;
  absl::Time asked_at;
  std::deque<Request> requests;
};

}  // namespace nodeward::identity
