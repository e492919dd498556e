// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "base/status.h"
#include "model/identity.h"
#include "tls/context.h"

struct ssl_st;

namespace nodeward::tls {

// Whom one session takes as its peer, and what came of it. Runs inside the
// handshake, so that a refused peer gets an alert and never a byte.
class PeerCheck {
 public:
  // `context` must outlive the check.
  PeerCheck(const Context& context, std::vector<model::Identity> expected)
      : context_(context), expected_(std::move(expected)) {}

  // Makes sessions of `native` ask the PeerCheck that Attach gave them.
  static void Install(ssl_ctx_st* native);
  // This check decides for `ssl`, and must outlive it.
  void Attach(ssl_st* ssl);

  // The accepted peer; none before, or when refused.
  const std::optional<model::Identity>& peer() const { return peer_; }
  // Why the peer was refused; OK when it was not.
  const base::Status& error() const { return error_; }

 private:
  struct Callback;
  base::Status CheckExpected(const model::Identity& peer) const;
  base::Status CheckAlpn(const ssl_st* ssl) const;

  const Context& context_;
  const std::vector<model::Identity> expected_;
  std::optional<model::Identity> peer_;
  base::Status error_;
};

}  // namespace nodeward::tls
