// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/status.h"
#include "ca/object_name.h"
#include "pki/issuer_files.h"
#include "pki/signer.h"

namespace nodeward::ca {

// What one CA runs with, as the command line gives it.
struct Options {
  std::string issuer;       // folder or PEM file
  std::string issuer_pair;  // file of the certificate in it; empty: found
  std::string roots;        // file or folder; empty: what the issuer has
  std::string trust_domain = "cluster.local";
  std::string listen = "[::]:15012";
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1"};
  std::string admin = "[::]:15014";  // empty: not served
  std::string lifetime = "24h";
  std::string max_lifetime = "24h";
  std::string clock_skew = "20s";
  std::string token_file;  // empty: none
  bool kubernetes = false;
  std::string kubernetes_api;    // empty: that of the pod's environment
  std::string kubernetes_ca;     // empty: that of the pod
  std::string kubernetes_token;  // empty: that of the pod
  // The ConfigMap that is kept at our roots; empty: none.
  std::string publish_roots;
  bool publish_to_namespaces = false;  // one of that name in each that opted in
  std::string lease;      // by which one of several CAs leads; empty: this does
  std::string events_on;  // the Deployment whose Events we write; empty: none
  std::vector<std::string> audiences = {"nodeward-ca"};
  std::vector<std::string> trusted_agents = {"nodeward-system/nodeward-agent"};
  // Where pods are described; empty: Kubernetes is asked, if at all.
  std::string manifests;
  double rate = 100;
  double burst = 1000;
  int in_flight = 64;
  std::string drain = "10s";
  std::string log_level = "info";
  std::string log_format = "text";
};

// The same, checked.
struct Config {
  pki::IssuerPlace issuer;
  std::string trust_domain;
  base::Endpoint listen;
  pki::ServerNames names;
  bool serve_admin = false;
  base::Endpoint admin;
  absl::Duration lifetime;
  absl::Duration max_lifetime;
  absl::Duration clock_skew;
  std::string token_file;
  // Empty: Kubernetes is not asked.
  std::string kubernetes_api;  // "https://10.96.0.1:443"
  std::string kubernetes_ca;
  std::string kubernetes_token;
  std::optional<ObjectName> publish_roots;
  bool publish_to_namespaces = false;
  std::optional<ObjectName> lease;
  std::optional<ObjectName> events_on;
  std::vector<std::string> audiences;
  std::set<std::pair<std::string, std::string>> trusted_agents;
  std::string manifests;
  double rate = 0;
  double burst = 0;
  int in_flight = 0;
  absl::Duration drain;
  base::LogLevel log_level = base::LogLevel::kInfo;
  base::LogFormat log_format = base::LogFormat::kText;
};

// An error lists every mistake, a line each, by its flag.
base::StatusOr<Config> CheckOptions(const Options& options);

}  // namespace nodeward::ca
