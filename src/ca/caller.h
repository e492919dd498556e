// SPDX-License-Identifier: Apache-2.0
//
// ca: a CA for others. Who calls (caller and its authenticators), what it may
// ask for (authorizer, limiter), what signs (issuer_watch), and the gRPC
// service that answers (service, server); run puts them together. A token is
// the only credential here: a certificate that this CA issued never is, or a
// stolen key could renew itself for ever. gRPC and libcurl only in here.
#pragma once

#include <string>

#include "base/status.h"
#include "base/text.h"

namespace nodeward::ca {

// Whom a token proves. What it does not say is empty.
struct Caller {
  std::string name_space;
  std::string service_account;
  std::string pod_name;
  std::string pod_uid;
  std::string node_name;

  // "system:serviceaccount:<namespace>:<account>"
  std::string Username() const {
    return base::StrCat("system:serviceaccount:", name_space, ":",
                        service_account);
  }
  // Tells callers apart that share a ServiceAccount, as agents do.
  std::string Key() const {
    return base::StrCat(Username(), "/", node_name, "/", pod_uid);
  }
  friend bool operator==(const Caller&, const Caller&) = default;
};

// The ServiceAccount in a username of Kubernetes' form; both parts must be
// names that Kubernetes allows.
base::StatusOr<Caller> ParseUsername(std::string_view username);

// Whoever knows whose token it is.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // Any thread; may wait for somebody else's answer. Unauthenticated: the token
  // proves nobody. Unavailable: it could not be found out, try again. Neither
  // contains the token.
  virtual base::StatusOr<Caller> Authenticate(const std::string& token) = 0;
  // For status and the log: "tokens of /etc/tokens".
  virtual std::string Description() const = 0;
};

}  // namespace nodeward::ca
