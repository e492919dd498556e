// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "ca/config.h"
#include "cli/environment.h"

namespace nodeward::cli {

// nodeward ca: runs a CA.
base::StatusOr<int> RunCa(Environment& environment, const ca::Options& options);

// nodeward ca init: makes a root, ca.crt and ca.key, in a folder that has
// none.
struct CaInitOptions {
  std::string folder;
  std::string trust_domain = "cluster.local";
  std::string lifetime = "87600h";
};
base::StatusOr<int> CaInit(Environment& environment,
                           const CaInitOptions& options);

// nodeward ca issue-intermediate: makes tls.crt, tls.key and ca.crt (the
// root's) in a new folder.
struct CaIntermediateOptions {
  std::string root;  // folder, as any issuer's
  std::string folder;
  std::string trust_domain = "cluster.local";
  std::string common_name = "nodeward intermediate";
  std::string lifetime = "8760h";
};
base::StatusOr<int> CaIssueIntermediate(Environment& environment,
                                        const CaIntermediateOptions& options);

// nodeward ca create-secret: makes a root and puts it into a Secret, unless
// there is one.
struct CaCreateSecretOptions {
  std::string secret;  // NAMESPACE/NAME
  std::string trust_domain = "cluster.local";
  std::string lifetime = "87600h";
  std::string kubernetes_api;  // these three empty: those of the pod
  std::string kubernetes_ca;
  std::string kubernetes_token;
};
base::StatusOr<int> CaCreateSecret(Environment& environment,
                                   const CaCreateSecretOptions& options);

// nodeward ca status: what is in an issuer's folder, whether a CA would take
// it, and for how long. kProblem when it would not.
struct CaStatusOptions {
  std::string issuer;
  std::string issuer_pair;
  std::string roots;
  std::string trust_domain = "cluster.local";
  std::string output = "table";  // or json
};
base::StatusOr<int> CaStatus(Environment& environment,
                             const CaStatusOptions& options);

}  // namespace nodeward::cli
