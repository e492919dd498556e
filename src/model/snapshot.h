// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/ip.h"
#include "model/authorization.h"
#include "model/destination_rule.h"
#include "model/network_policy.h"
#include "model/policy.h"
#include "model/service.h"
#include "model/volume.h"
#include "model/workload.h"

namespace nodeward::model {

// Something in the source of truth that an operator should mend.
struct Problem {
  std::string file;    // may be empty
  int line = 0;        // 1-based; 0: not known
  std::string object;  // "PeerAuthentication mtls-test/httpbin"; may be empty
  std::string reason;
  bool closes = false;  // it closes workloads, and readiness is false
  bool flaw = false;    // not just worth telling: an API server would refuse it

  // "httpbin.yaml:12: PeerAuthentication mtls-test/httpbin: reason"
  std::string ToString() const;
};

// A service's virtual address.
struct VirtualAddress {
  base::IpAddress address;
  std::shared_ptr<const Service> service;
};

// Everything known of the mesh at one instant. Immutable; share it as
// shared_ptr<const Snapshot>.
struct Snapshot {
  uint64_t revision = 0;
  std::string trust_domain;
  std::vector<std::string> trust_domain_aliases;
  // Others whose peers are authenticated, too. Not names of ours.
  std::vector<std::string> federated_trust_domains;
  std::string root_namespace = "istio-system";
  std::vector<std::shared_ptr<const Workload>> workloads;  // by ns, name
  std::vector<std::shared_ptr<const Service>> services;
  std::vector<PeerAuthentication> peer_authentications;
  // By namespace, then name. What did not change from one snapshot to the next
  // keeps its address.
  std::vector<std::shared_ptr<const AuthorizationPolicy>>
      authorization_policies;
  std::vector<std::shared_ptr<const DestinationRule>> destination_rules;
  FileSets file_sets;
  PathNormalization path_normalization = PathNormalization::kBase;
  std::vector<ClosingPolicy> closing_policies;
  std::vector<Problem> problems;
  // Kinds that were read and left alone ("Deployment": 3).
  absl::flat_hash_map<std::string, int> ignored_kinds;

  // Indexes, made by Finish().
  absl::flat_hash_map<base::IpAddress, std::shared_ptr<const Workload>>
      workload_by_ip;
  // Addresses that two live pods claim: nobody is spoken to there.
  absl::flat_hash_set<base::IpAddress> conflicting_ips;
  // Addresses that only terminal pods of the mesh hold, with such a pod: they
  // may still run, but speak HBONE no more.
  absl::flat_hash_map<base::IpAddress, std::shared_ptr<const Workload>>
      departed_by_ip;
  absl::flat_hash_map<base::IpAddress, std::shared_ptr<const Service>>
      service_by_ip;

  // The live workload that owns `ip`, or null (terminal pods own nothing, a
  // disputed address belongs to nobody). hostNetwork pods are not indexed.
  const Workload* FindWorkload(const base::IpAddress& ip) const;
  const Service* FindService(const base::IpAddress& ip) const;
  // The service port that has `workload` at `port` among its endpoints: its
  // protocol and host name for metrics. First match in order of services; where
  // it is ready counts before where it is not.
  struct Served {
    const Service* service = nullptr;
    const ServicePort* port = nullptr;
  };
  Served FindServed(const Workload& workload, uint16_t port) const;
  // What is known of the protocol there: the service port's, else that of the
  // container port.
  PortTraits TraitsOf(const Workload& workload, uint16_t port) const;

  // The PeerAuthentications of one namespace, as positions in
  // peer_authentications, oldest first.
  struct AuthenticationScope {
    std::vector<uint32_t> whole;      // without selector: [0] counts
    std::vector<uint32_t> selecting;  // the first that selects a pod counts
  };
  absl::flat_hash_map<std::string, AuthenticationScope> authentication_scopes;
  // By namespace, as positions in closing_policies; mesh-wide ones under "".
  absl::flat_hash_map<std::string, std::vector<uint32_t>> closing_scopes;
  // The same for authorization_policies.
  absl::flat_hash_map<std::string, std::vector<uint32_t>> authorization_scopes;
  absl::flat_hash_map<base::Endpoint, Served> served_by_endpoint;

  // Where clients find a headless service, ready or not; first in order of
  // services.
  struct Headless {
    std::shared_ptr<const Service> service;
    uint16_t port = 0;  // the service's
    const ServiceEndpoint* endpoint = nullptr;
  };
  absl::flat_hash_map<base::Endpoint, Headless> headless_by_endpoint;

  // The DestinationRules of one namespace, as positions in destination_rules,
  // oldest first.
  struct RuleScope {
    absl::flat_hash_map<std::string, std::vector<uint32_t>> exact;  // by host
    std::vector<uint32_t> wildcard;
  };
  absl::flat_hash_map<std::string, RuleScope> rule_scopes;
  // Hosts of rules of whatever namespace that ask for TLS, and such with a
  // wildcard.
  absl::flat_hash_set<std::string> secured_hosts;
  std::vector<std::shared_ptr<const DestinationRule>> secured_wildcards;
  // Whether one of them is that of `service`: its clients' connections must
  // then pass through the agent.
  bool IsSecuredByRule(const Service& service) const;

  // The cluster network's own, by namespace, then name; and the labels of
  // namespaces, by which they select.
  std::vector<std::shared_ptr<const NetworkPolicy>> network_policies;
  absl::flat_hash_map<std::string, Labels> namespace_labels;

  // Sorts peer_authentications (age, name, namespace), authorization_policies
  // and destination_rules (age, name) and builds the indexes.
  // The builder calls it once, when all else is filled in; decisions read the
  // indexes only.
  void Finish();
};

using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace nodeward::model
