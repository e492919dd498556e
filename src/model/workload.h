// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/interned.h"
#include "base/ip.h"
#include "model/identity.h"
#include "model/protocol.h"
#include "model/volume.h"

namespace nodeward::model {

using Labels = std::map<std::string, std::string>;

// matchLabels: has `labels` every pair of `selector`? An empty one selects all.
bool Selects(const Labels& selector, const Labels& labels);

// Why a pod is, or is not, in the mesh.
enum class Membership {
  kEnabled,      // opted in by its own or its namespace's label
  kNotOptedIn,   // no label says so, or one says no
  kHostNetwork,  // never: it shares the node's network namespace
  kSystem,       // never: kube-system
  kSidecar,      // never: a sidecar proxy already captures it
  kTerminal,     // phase Succeeded or Failed, or being deleted
  kConflict,     // another live pod has one of its addresses
  kNotEnrolled,  // opted in, but its node's agent has not enrolled it (yet)
};
// "enabled", "not opted in", …: what status prints.
std::string_view MembershipText(Membership membership);

struct ContainerPort {
  std::string name;  // may be empty
  uint16_t port = 0;
  PortTraits traits;  // from the name

  friend bool operator==(const ContainerPort&, const ContainerPort&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const ContainerPort& value) {
    return H::combine(std::move(h), value.name, value.port);
  }
};

// One pod. What many pods have in common is interned: a node knows of as many
// pods as the cluster has.
struct Workload {
  std::string uid;  // metadata.uid, else "<namespace>/<name>/<first IP>"
  std::string name;
  std::string name_space;
  base::Interned<std::string> node;
  base::Interned<Identity> identity;
  std::vector<base::IpAddress> ips;  // none while the pod has no address
  base::Interned<Labels> labels;
  // For edges, logs and metrics: the owner's name ("httpbin" of Deployment
  // httpbin), else the pod's own; and Istio's canonical service and revision.
  base::Interned<std::string> workload_name;
  base::Interned<std::string> canonical_service;
  base::Interned<std::string> canonical_revision;
  base::Interned<std::string> app;
  base::Interned<std::string> version;
  Membership membership = Membership::kNotOptedIn;
  // Where the membership comes from, for status: "namespace label
  // nodeward.io/mesh=enabled".
  base::Interned<std::string> membership_reason;
  // A label opts it in and nothing rules it out for good (hostNetwork,
  // kube-system, a sidecar). Still true of a terminal or disputed pod, whose
  // membership says why it is not in the mesh for now: such a pod must not be
  // opened to plaintext while it lives.
  bool opted_in = false;
  // Its namespace wants no plaintext from it to anybody in the mesh.
  bool requires_mtls = false;
  bool ready = true;
  base::Interned<std::vector<ContainerPort>> ports;
  // Ports of liveness, readiness and startup probes and of lifecycle hooks
  // (httpGet, tcpSocket, grpc), names resolved.
  base::Interned<std::vector<uint16_t>> probe_ports;
  base::Interned<std::string>
      netns_path;  // annotation nodeward.io/netns; may be empty
  base::Interned<std::vector<ProxyMount>> proxy_mounts;

  // In the mesh: it must be reached through a tunnel, and if it is local it is
  // to be captured.
  bool in_mesh() const { return membership == Membership::kEnabled; }
  // "mtls-test/httpbin"
  std::string QualifiedName() const { return name_space + "/" + name; }

  friend bool operator==(const Workload&, const Workload&) = default;
};

}  // namespace nodeward::model
