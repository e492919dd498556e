// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "base/interned.h"
#include "base/ip.h"
#include "model/authorization.h"
#include "model/destination_rule.h"
#include "model/network_policy.h"
#include "model/policy.h"
#include "model/service.h"
#include "model/snapshot.h"
#include "model/volume.h"
#include "model/workload.h"

namespace nodeward::discovery {

// What the labels of one object say about the mesh.
struct OptIn {
  enum class Wish { kNone, kEnabled, kDisabled, kRequired };
  Wish wish = Wish::kNone;
  base::Interned<std::string>
      label;  // "nodeward.io/mesh=enabled"; empty with kNone

  friend bool operator==(const OptIn&, const OptIn&) = default;
};

struct Namespace {
  std::string name;
  OptIn opt_in;
  bool requires_mtls = false;  // nodeward.io/outbound=require-mtls
  model::Labels labels = {};   // NetworkPolicies select by them

  friend bool operator==(const Namespace&, const Namespace&) = default;
};

struct Pod {
  // The one copy of what is known of it: the catalog puts another in its place
  // when membership, membership_reason or opted_in, which depend on other
  // objects, are to be different.
  std::shared_ptr<const model::Workload> workload =
      std::make_shared<model::Workload>();
  OptIn opt_in;
  bool host_network = false;
  base::Interned<std::string> sidecar;  // what shows it has one; empty: none
  base::Interned<std::string> ended;    // "phase Failed", …; empty: live
  // Its node's agent has not told that it is enrolled, which it would.
  bool awaits_mark = false;
};

// Was the same read of both, whatever the catalog made of it?
bool ReadAlike(const Pod& a, const Pod& b);

struct Service {
  struct Port {
    std::string name;
    uint16_t port = 0;
    uint16_t target = 0;      // 0: by name
    std::string target_name;  // of a container port
    model::PortTraits traits;
  };
  std::string name;
  std::string name_space;
  std::vector<base::IpAddress> cluster_ips;
  model::Labels selector;  // empty: endpoints come from slices only
  bool publish_not_ready = false;
  bool local_only = false;  // internalTrafficPolicy: Local
  std::vector<Port> ports;
};

struct EndpointSlice {
  struct Port {
    std::string name;
    uint16_t port = 0;
  };
  struct Endpoint {
    std::vector<base::IpAddress> addresses;
    bool ready = true;
    base::Interned<std::string> node;
  };
  std::string name_space;
  std::string service;
  std::vector<Port> ports;
  std::vector<Endpoint> endpoints;
};

struct ServiceEntry {
  std::vector<model::Service> services;  // one for each host
};

// One object of the source. Immutable once read (but for a pod's workload, see
// there); shared, so that what did not change keeps its address.
struct Object {
  using Content =
      std::variant<std::shared_ptr<const Namespace>, std::shared_ptr<Pod>,
                   std::shared_ptr<const Service>,
                   std::shared_ptr<const EndpointSlice>,
                   std::shared_ptr<const model::PeerAuthentication>,
                   std::shared_ptr<const model::AuthorizationPolicy>,
                   std::shared_ptr<const model::DestinationRule>,
                   std::shared_ptr<const ServiceEntry>,
                   std::shared_ptr<const model::NetworkPolicy>,
                   std::shared_ptr<const model::FileSet>,
                   std::shared_ptr<const model::ClosingPolicy>>;

  base::Interned<std::string> kind;
  base::Interned<std::string> name_space;  // empty: cluster-scoped
  std::string name;
  int line = 0;  // in its file
  // False: a makeshift for a version that is broken (a part of the object, or
  // what closes in its stead). It is not what a later broken version falls
  // back to.
  bool good = true;
  Content content;
  std::vector<model::Problem> notes;  // told as long as the object stands

  // "PeerAuthentication mtls-test/httpbin"
  std::string Title() const;
  auto Key() const { return std::tie(*kind, *name_space, name); }
};

}  // namespace nodeward::discovery
