// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

// Where policies and pods are read when no agent is asked.
struct ManifestsOptions {
  std::string path;  // empty: the running agent is asked
  std::string trust_domain = "cluster.local";
  std::vector<std::string> trust_domain_aliases;
  std::vector<std::string> federated_trust_domains;
  std::string root_namespace = "istio-system";
  std::string path_normalization = "BASE";
};

// nodeward policy test: may A call B, and why? kOk: yes, kDenied: no. With a
// batch kOk when every line could be answered, else kProblem.
struct PolicyTestOptions {
  std::string run_dir;
  ManifestsOptions manifests;
  std::string batch;  // a file of JSON lines, "-": standard input; empty: none
  std::string from;
  std::string from_ip;
  std::string to;
  std::optional<int> port;
  std::string protocol;
  std::optional<std::string> method;
  std::optional<std::string> path;
  std::optional<std::string> host;
  std::vector<std::string> headers;  // "name=value"
  std::string sni;
  std::string output = "table";  // or json
};
inline constexpr int kDenied = 3;
base::StatusOr<int> PolicyTest(Environment& environment,
                               const PolicyTestOptions& options);

// nodeward policy lint: what would be rejected, and what would surprise?
// kProblem: something would be rejected.
struct PolicyLintOptions {
  ManifestsOptions manifests;
  std::string output = "table";  // or json
};
base::StatusOr<int> PolicyLint(Environment& environment,
                               const PolicyLintOptions& options);

}  // namespace nodeward::cli
