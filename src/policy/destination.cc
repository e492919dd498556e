// SPDX-License-Identifier: Apache-2.0
#include "policy/destination.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "policy/authn.h"
#include "policy/destination_rule.h"

namespace nodeward::policy {
namespace {

Route Refuse(const base::Endpoint& address, std::string reason) {
  Route route;
  route.kind = Route::Kind::kRefuse;
  route.address = address;
  route.reason = std::move(reason);
  return route;
}

bool IsHttp(model::Protocol protocol) {
  return protocol == model::Protocol::kHttp ||
         protocol == model::Protocol::kHttp2 ||
         protocol == model::Protocol::kGrpc;
}

// The service port through which an endpoint was found.
struct Through {
  std::shared_ptr<const model::Service> service;
  const model::ServicePort* port = nullptr;
};

// Whom a server must be. A rule without sni and subjectAltNames asks for
// nobody, as no proxy can know a name in a stream of bytes; where HTTP is
// spoken, the service's.
std::string ServerName(const model::ClientTls& tls, const Through& through) {
  if (!tls.sni.empty()) return tls.sni;
  if (!tls.subject_alt_names.empty() ||
      !through.service->subject_alt_names.empty() || tls.insecure_skip_verify ||
      !IsHttp(through.port->protocol)) {
    return "";
  }
  return through.service->Hostname();
}

// Turns `route`, which is how the mesh would go by itself, into what the rule
// says. `mode`: what the server takes; kUnset: it is not of the mesh.
void FollowRule(const Through& through, model::MtlsMode mode, Route* route) {
  using Mode = model::ClientTls::Mode;
  const model::DestinationRule& rule = *route->rule;
  const auto refuse = [&](std::string_view why) {
    route->kind = Route::Kind::kRefuse;
    route->forbidden = true;
    route->reason =
        base::StrCat("DestinationRule ", rule.QualifiedName(), " ", why);
  };
  if (!rule.broken.empty()) {
    return refuse(base::StrCat("is broken: ", rule.broken));
  }
  const model::ClientTls& tls = *route->tls;
  const bool strict = mode == model::MtlsMode::kStrict;
  if (tls.mode == Mode::kIstioMutual) {
    if (mode == model::MtlsMode::kUnset) {
      return refuse(base::StrCat("says ISTIO_MUTUAL, but ",
                                 route->address.ToString(),
                                 " is not in the mesh"));
    }
    route->kind = Route::Kind::kTunnel;
    return;
  }
  // The server would refuse it after the first byte: better not one is sent.
  if (strict) {
    return refuse(base::StrCat("says ", ClientTlsModeText(tls.mode), ", but ",
                               route->workload->QualifiedName(), " is STRICT"));
  }
  if (tls.mode == Mode::kDisable) {
    route->kind = Route::Kind::kPlaintext;
    return;
  }
  route->kind = Route::Kind::kOriginate;
  route->server_name = ServerName(tls, through);
}

// What `route` becomes for a client whose namespace wants mutual TLS with
// whoever is in the mesh.
Route Require(Route route) {
  if (route.kind != Route::Kind::kPlaintext &&
      route.kind != Route::Kind::kOriginate) {
    return route;
  }
  if (route.workload == nullptr || !route.workload->in_mesh()) return route;
  route.kind = Route::Kind::kRefuse;
  route.forbidden = true;
  route.reason = base::StrCat(
      "the namespace says nodeward.io/outbound=require-mtls, but ",
      route.workload->QualifiedName(), " would get ",
      route.rule == nullptr
          ? "plaintext (its mode is DISABLE)"
          : base::StrCat("no mutual TLS of the mesh (DestinationRule ",
                         route.rule->QualifiedName(), ")"));
  return route;
}

// How `workload` (null: nothing is known of it) is to be spoken to.
Route ToPod(const model::Snapshot& snapshot, const model::Workload* client,
            const Through& through, const base::Endpoint& address,
            std::shared_ptr<const model::Workload> workload) {
  Route route;
  route.address = address;
  route.kind = Route::Kind::kPlaintext;
  auto mode = model::MtlsMode::kUnset;
  if (workload != nullptr) {
    if (workload->membership == model::Membership::kConflict) {
      return Refuse(address,
                    base::StrCat("the address of ", workload->QualifiedName(),
                                 " is claimed by another pod too"));
    }
    if (workload->in_mesh()) {
      mode = MtlsFor(snapshot, *workload, address.port).mode;
      if (mode != model::MtlsMode::kDisable) route.kind = Route::Kind::kTunnel;
    }
  }
  route.workload = std::move(workload);
  route.service = through.service;
  if (client == nullptr) return route;
  auto rule = through.port == nullptr
                  ? nullptr
                  : FindDestinationRule(snapshot, *client, *through.service);
  if (rule != nullptr) {
    route.tls = rule->TlsFor(through.port->port);
    if (route.tls != nullptr || !rule->broken.empty()) {
      route.rule = std::move(rule);
      FollowRule(through, mode, &route);
    }
  }
  return client->requires_mtls ? Require(std::move(route)) : route;
}

// Addresses at which nobody may be spoken to, whoever is asked for there.
std::string Barred(const model::Snapshot& snapshot,
                   const base::IpAddress& address) {
  if (snapshot.conflicting_ips.contains(address)) {
    return base::StrCat("two pods claim ", address.ToString());
  }
  // It may still run and still be STRICT: not in plaintext, and it speaks no
  // HBONE any more.
  const auto departed = snapshot.departed_by_ip.find(address);
  if (departed != snapshot.departed_by_ip.end()) {
    return base::StrCat("pod ", departed->second->QualifiedName(),
                        " has ended");
  }
  return "";
}

// One of `ready` that is not among `tried`, of the family that was asked for if
// there is one: what the client sees of its peer then stays of that family.
// `node`: nothing but what runs there; null: wherever. Null: there is none.
const model::ServiceEndpoint* Pick(
    const std::vector<model::ServiceEndpoint>& ready, bool v4, uint64_t pick,
    const std::string* node, const std::vector<base::Endpoint>& tried) {
  const auto usable = [&](const model::ServiceEndpoint& each) {
    return (node == nullptr || each.node == *node) &&
           std::find(tried.begin(), tried.end(), each.address) == tried.end();
  };
  for (const bool family : {v4, !v4}) {
    const auto fits = [&](const model::ServiceEndpoint& each) {
      return each.address.address.is_v4() == family && usable(each);
    };
    const auto count =
        static_cast<uint64_t>(std::count_if(ready.begin(), ready.end(), fits));
    if (count == 0) continue;
    uint64_t skip = pick % count;
    for (const model::ServiceEndpoint& each : ready) {
      if (fits(each) && skip-- == 0) return &each;
    }
  }
  return nullptr;
}

Route ToService(const model::Snapshot& snapshot, const model::Workload* client,
                const base::Endpoint& destination,
                const std::shared_ptr<const model::Service>& service,
                uint64_t pick, const std::vector<base::Endpoint>& tried) {
  const auto refuse = [&](std::string_view what) {
    Route route = Refuse(destination,
                         base::StrCat("service ", service->name_space, "/",
                                      service->name, what, destination.port));
    route.service = service;
    return route;
  };
  const model::ServicePort* const port = service->FindPort(destination.port);
  if (port == nullptr) return refuse(" has no port ");
  if (port->ready.empty()) return refuse(" has no ready endpoint for port ");
  const bool local = service->local_only && client != nullptr;
  const model::ServiceEndpoint* const picked =
      Pick(port->ready, destination.address.is_v4(), pick,
           local ? &*client->node : nullptr, tried);
  if (picked == nullptr) {
    return refuse(!tried.empty() ? " has no other ready endpoint for port "
                                 : " has no ready endpoint on this node "
                                   "(internalTrafficPolicy Local) for port ");
  }
  const model::ServiceEndpoint& endpoint = *picked;
  std::string barred = Barred(snapshot, endpoint.address.address);
  if (barred.empty()) {
    return ToPod(snapshot, client, {service, port}, endpoint.address,
                 endpoint.workload);
  }
  Route route = Refuse(endpoint.address, std::move(barred));
  route.service = service;
  return route;
}

// The headless service of which `destination` is an endpoint.
Through ThroughHeadless(const model::Snapshot& snapshot,
                        const base::Endpoint& destination) {
  const auto found = snapshot.headless_by_endpoint.find(destination);
  if (found == snapshot.headless_by_endpoint.end()) return {};
  return {found->second.service,
          found->second.service->FindPort(found->second.port)};
}

// To an address that is no VIP.
Route ToAddress(const model::Snapshot& snapshot, const model::Workload* client,
                const Through& through, const base::Endpoint& destination,
                bool held) {
  const auto workload = snapshot.workload_by_ip.find(destination.address);
  if (workload != snapshot.workload_by_ip.end()) {
    return ToPod(snapshot, client, through, destination, workload->second);
  }
  if (std::string barred = Barred(snapshot, destination.address);
      !barred.empty()) {
    return Refuse(destination, std::move(barred));
  }
  // An address that only a service's list of endpoints knows.
  if (through.port != nullptr && !held) {
    return ToPod(snapshot, client, through, destination, nullptr);
  }
  Route route;
  route.address = destination;
  route.kind = held ? Route::Kind::kHold : Route::Kind::kPlaintext;
  if (held) {
    route.reason = base::StrCat("nothing is known yet of ",
                                destination.address.ToString());
  }
  return route;
}

}  // namespace

Route RouteTo(const model::Snapshot& snapshot, const model::Workload* client,
              const base::Endpoint& destination, bool held, uint64_t pick,
              const std::vector<base::Endpoint>& tried) {
  const auto service = snapshot.service_by_ip.find(destination.address);
  if (service != snapshot.service_by_ip.end()) {
    return ToService(snapshot, client, destination, service->second, pick,
                     tried);
  }
  return ToAddress(snapshot, client, ThroughHeadless(snapshot, destination),
                   destination, held);
}

Route RouteAgain(const model::Snapshot& snapshot, const model::Workload* client,
                 const base::Endpoint& destination,
                 const base::Endpoint& address, bool held) {
  const auto service = snapshot.service_by_ip.find(destination.address);
  const Through through =
      service == snapshot.service_by_ip.end()
          ? ThroughHeadless(snapshot, destination)
          : Through{service->second,
                    service->second->FindPort(destination.port)};
  return ToAddress(snapshot, client, through, address, held);
}

}  // namespace nodeward::policy
