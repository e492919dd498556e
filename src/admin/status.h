// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/json.h"
#include "base/status.h"

namespace nodeward::admin {

// The agent and its pods at one instant: the reply to `status`. The composition
// root fills it; the command line prints it. Empty text: not known or nothing.
struct PodReport {
  std::string name_space;
  std::string name;
  std::string state;   // enrolled, pending, draining, skipped, failed
  std::string reason;  // why it is not enrolled, or where the opt-in comes from

  // Not for skipped pods.
  struct Mtls {
    std::string mode;                       // "STRICT": ports not listed
    std::map<uint16_t, std::string> ports;  // those that differ from it
    std::string policy;  // "mtls-test/httpbin"; empty: the default
  };
  std::optional<Mtls> mtls;

  struct Certificate {
    std::string identity;  // SPIFFE ID
    std::string state;     // valid, pending, …
    std::string serial;
    absl::Time not_after = absl::InfinitePast();
    std::string error;  // of the last attempt
  };
  std::optional<Certificate> certificate;

  // Do the kubelet's probes pass? Empty: they do, or there are none.
  std::vector<uint16_t> probe_ports;
  bool probes_exempt = false;
  std::string probes_reason;  // why they are not exempt
};

struct StatusReport {
  std::string node;
  std::string version;
  absl::Duration uptime;
  bool ready = false;
  std::vector<std::string> not_ready;  // reasons
  std::string ca;                      // "embedded /var/lib/nodeward/ca"
  std::string trust_domain;
  std::string trust;                        // "roots from /etc/roots.pem"
  std::vector<std::string> trust_problems;  // files that could not be used
  std::string ca_problem;  // why the CA issues nothing; empty: it does

  struct Kubelet {
    bool found = false;
    std::string cgroup;
    std::string reason;  // why not found
  };
  Kubelet kubelet;

  struct Problem {
    std::string file;
    int line = 0;
    std::string object;
    std::string reason;
    bool closes = false;
  };
  std::vector<Problem> problems;
  std::map<std::string, int> ignored_kinds;

  uint64_t open_connections = 0;
  uint64_t tunnels = 0;
  uint64_t buffered_bytes = 0;
  std::map<std::string, uint64_t> counters;  // of the BPF programs
  std::vector<PodReport> pods;
};

// The reply to `status` with the arguments {"namespace":"…","pod":"…"}, each
// absent or empty: all. `pods` keeps those that match, sorted; naming a pod
// that is not there is kNotFound. `healthy` is false when a pod shown is
// pending or failed or a problem closes something.
base::StatusOr<base::Json> StatusResult(const StatusReport& report,
                                        const base::Json& arguments);

}  // namespace nodeward::admin
