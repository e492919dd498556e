// SPDX-License-Identifier: Apache-2.0
#include "kernel/destinations.h"

#include <cstring>

#include "base/text.h"
#include "kernel/address.h"

namespace nodeward::kernel {
namespace {

constexpr size_t kNamedInErrors = 8;

nodeward_destination_key KeyOf(const base::Endpoint& to) {
  nodeward_destination_key key{};
  key.address = ToAbi(to.address);
  key.port = htons(to.port);
  return key;
}

uint32_t AbiAction(Action action) {
  return action == Action::kRefuse ? NODEWARD_REFUSE : NODEWARD_CAPTURE;
}

nodeward_cidr_key KeyOf(const base::Cidr& cidr) {
  nodeward_cidr_key key{};
  key.prefix = cidr.prefix16();
  key.address = ToAbi(cidr.address());
  return key;
}

bool SameBytes(const nodeward_cidr_key& a, const nodeward_cidr_key& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

template <typename Things>
std::string NameSome(const Things& things) {
  std::string names;
  size_t count = 0;
  for (const auto& thing : things) {
    if (count++ == kNamedInErrors) break;
    base::StrAppend(&names, names.empty() ? "" : ", ", thing.ToString());
  }
  if (things.size() > kNamedInErrors)
    base::StrAppend(&names, " and ", things.size() - kNamedInErrors, " more");
  return names;
}

}  // namespace

base::StatusOr<Destinations> Destinations::Open(const SharedMaps& maps) {
  Destinations d;
  NODEWARD_ASSIGN(d.destinations_,
                  (maps.Get<nodeward_destination_key, nodeward_destination>(
                      "destinations")));
  NODEWARD_ASSIGN(d.cidrs_,
                  (maps.Get<nodeward_cidr_key, uint32_t>("mesh_cidrs")));
  NODEWARD_ASSIGN(d.settings_map_,
                  (maps.Get<uint32_t, nodeward_settings>("settings")));
  for (const nodeward_destination_key& key : d.destinations_.Keys()) {
    if (auto value = d.destinations_.Get(key))
      d.written_[EndpointFromAbi(key.address, key.port)] = value->action;
  }
  // Whose overflow it was is not known; each Set clears its own.
  auto settings = d.settings_map_.Get(0).value_or(nodeward_settings{});
  d.has_cidrs_ = settings.mesh_cidrs != 0;
  d.overflow_ = d.cidr_overflow_ = settings.capture_unknown != 0;
  return d;
}

Destinations::Entries Destinations::Wanted(
    const std::vector<Destination>& destinations) {
  Entries wanted;
  for (const Destination& d : destinations) {
    uint32_t action = AbiAction(d.action);
    for (const auto& [port, of_port] : d.ports) {
      if (port == 0) continue;
      wanted[{d.address, port}] = AbiAction(of_port);
      action |= NODEWARD_LOOK_AT_PORT;
    }
    wanted[{d.address, 0}] = d.of_mesh ? action | NODEWARD_OF_MESH : action;
  }
  return wanted;
}

base::Status Destinations::Write(const base::Endpoint& to, uint32_t action) {
  NODEWARD_TRY(destinations_.Set(KeyOf(to), {action}));
  written_[to] = action;
  return base::OkStatus();
}

base::Status Destinations::Erase(const base::Endpoint& to) {
  NODEWARD_TRY(destinations_.Erase(KeyOf(to)));
  written_.erase(to);
  return base::OkStatus();
}

base::Status Destinations::EraseGoneAddresses(const Entries& wanted) {
  std::vector<base::Endpoint> addresses, ports;
  for (const auto& [to, action] : written_) {
    if (wanted.contains({to.address, 0})) continue;
    (to.port == 0 ? addresses : ports).push_back(to);
  }
  for (const base::Endpoint& to : addresses) NODEWARD_TRY(Erase(to));
  for (const base::Endpoint& to : ports) NODEWARD_TRY(Erase(to));
  return base::OkStatus();
}

base::Status Destinations::EraseGonePorts(const Entries& wanted) {
  std::vector<base::Endpoint> gone;
  for (const auto& [to, action] : written_)
    if (!wanted.contains(to)) gone.push_back(to);
  for (const base::Endpoint& to : gone) NODEWARD_TRY(Erase(to));
  return base::OkStatus();
}

base::StatusOr<std::vector<base::Endpoint>> Destinations::WriteChanges(
    const Entries& wanted) {
  std::vector<base::Endpoint> left_out;
  // Ports before the address that sends the hook to them.
  for (bool ports : {true, false}) {
    for (const auto& [to, action] : wanted) {
      if ((to.port != 0) != ports) continue;
      auto written = written_.find(to);
      if (written != written_.end() && written->second == action) continue;
      base::Status status = Write(to, action);
      if (absl::IsResourceExhausted(status))
        left_out.push_back(to);
      else if (!status.ok())
        return status;
    }
  }
  return left_out;
}

base::Status Destinations::Set(const std::vector<Destination>& destinations) {
  Entries wanted = Wanted(destinations);
  NODEWARD_TRY(EraseGoneAddresses(wanted));
  NODEWARD_ASSIGN(std::vector<base::Endpoint> left_out, WriteChanges(wanted));
  // Only now is no address left whose old ports would be missed.
  NODEWARD_TRY(EraseGonePorts(wanted));
  if (!left_out.empty()) {
    NODEWARD_ASSIGN(left_out, WriteChanges(wanted));
  }
  overflow_ = !left_out.empty();
  NODEWARD_TRY(SaveSettings());
  if (left_out.empty()) return base::OkStatus();
  return absl::ResourceExhaustedError(
      base::StrCat("write ", wanted.size(),
                   " destinations: the map is full; every unknown "
                   "destination goes to the agent until they fit. Left out: ",
                   NameSome(left_out)));
}

base::Status Destinations::SetMeshCidrs(const std::vector<base::Cidr>& cidrs) {
  std::vector<base::Cidr> left_out;
  for (const base::Cidr& cidr : cidrs) {
    base::Status status = cidrs_.Set(KeyOf(cidr), 1);
    if (absl::IsResourceExhausted(status))
      left_out.push_back(cidr);
    else if (!status.ok())
      return status;
  }
  has_cidrs_ = has_cidrs_ || !cidrs.empty();
  cidr_overflow_ = !left_out.empty();
  NODEWARD_TRY(SaveSettings());
  for (const nodeward_cidr_key& key : cidrs_.Keys()) {
    bool stays = false;
    for (const base::Cidr& cidr : cidrs)
      stays = stays || SameBytes(KeyOf(cidr), key);
    if (!stays) NODEWARD_TRY(cidrs_.Erase(key));
  }
  has_cidrs_ = !cidrs.empty();
  NODEWARD_TRY(SaveSettings());
  if (left_out.empty()) return base::OkStatus();
  return absl::ResourceExhaustedError(
      base::StrCat("write ", cidrs.size(),
                   " mesh CIDRs: the map is full (merge some into larger "
                   "blocks). Left out: ",
                   NameSome(left_out)));
}

base::Status Destinations::SaveSettings() {
  nodeward_settings settings{};
  settings.mesh_cidrs = has_cidrs_;
  settings.capture_unknown = overflow_ || cidr_overflow_;
  return settings_map_.Set(0, settings);
}

}  // namespace nodeward::kernel
