// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/status.h"
#include "model/authorization.h"

namespace nodeward::agent {

// What one agent runs with. Every field is one row of the table in settings.cc,
// which also gives its default, its flag and its line of help. Paths are
// absolute.
struct Config {
  std::string node;
  std::string trust_domain;
  std::vector<std::string> trust_domain_aliases;
  std::string root_namespace;
  model::PathNormalization path_normalization = model::PathNormalization::kBase;
  bool kubernetes = false;           // the source is the Kubernetes API
  std::string manifests;             // directory of Kubernetes manifests
  std::string kubernetes_api;        // "https://10.96.0.1:443"
  std::string kubernetes_ca;         // file
  std::string kubernetes_token;      // file
  std::string kubernetes_daemonset;  // "NAMESPACE/NAME"; empty: not known
  std::string kubernetes_taint;      // of our node until ready; empty: none
  std::string cri;                   // "unix:///run/containerd/…"
  std::string cni_conf_dir;          // empty: no CNI plugin is installed
  bool cni_install = true;           // false: what is there is removed
  std::string cni_bin_dir;
  std::string cni_account;  // "NAMESPACE/NAME", the plugin's; empty: none
  std::string embedded_ca;  // folder of ca.crt and ca.key
  std::string ca_address;   // host:port of a CA service; empty: the embedded CA
  std::string ca_roots;     // what that CA's own certificate leads to
  std::string ca_token;     // file
  std::string ca_server_name;  // empty: the host of ca_address
  std::string ca_cluster;      // what that CA calls this cluster; empty: unsaid
  absl::Duration ca_lifetime;
  std::string trust_bundle;  // file or folder; empty: the CA's roots
  std::string trust_crl;     // file or folder; empty: none
  bool crl_required = false;
  std::map<std::string, std::string> federation;    // trust domain -> path
  std::optional<absl::Duration> certificate_grace;  // none: one lifetime
  bool takeover = false;  // from a live agent of this node
  std::string run_dir;
  std::string bpf_dir;
  std::string cgroup;          // "auto" or a path
  std::string kubelet_cgroup;  // "auto" or a path
  uint16_t kubelet_port = 0;
  std::vector<base::Cidr> mesh_cidrs;
  int workers = 0;  // 0: one a CPU
  base::IpAddress metrics_address;
  uint16_t metrics_port = 0;    // 0: not served
  uint16_t readiness_port = 0;  // 0: not served
  absl::Duration hold;
  absl::Duration sniff_wait;
  absl::Duration silent_deadline;
  absl::Duration drain;
  base::LogLevel log_level = base::LogLevel::kInfo;
  base::LogFormat log_format = base::LogFormat::kText;
};

// Setting key -> text as given on the command line; lists comma-separated.
using FlagValues = std::map<std::string, std::string>;

// Reads `file` (empty: none; a YAML mapping of the settings), puts `flags` over
// it, and checks everything. What neither names has its default; the default of
// `node` is this host's name, that of `runDir` is NODEWARD_RUN_DIR when set.
// An error lists every mistake, a line each, "<file>:<line>: <key>: <what is
// wrong and what to do>".
base::StatusOr<Config> LoadConfig(const std::string& file,
                                  const FlagValues& flags);

// The runtime directory where neither flag nor file names one.
std::string DefaultRunDir();

}  // namespace nodeward::agent
