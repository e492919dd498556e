// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/text.h"
#include "kernel/hooks.h"

namespace nodeward::capture {

// Remembers what it was told and can be told to fail. Thread-safe.
class FakeHooks : public kernel::Hooks {
 public:
  const kernel::Features& features() const override { return features_; }

  base::Status AttachLookup(uint64_t cookie, int) override {
    return Step("AttachLookup", [&] { lookups.insert(cookie); });
  }
  base::Status SetListener(uint64_t cookie, kernel::Slot slot,
                           int fd) override {
    static constexpr const char* kSteps[] = {"SetListener4", "SetListener6",
                                             "SetListenerHbone"};
    return Step(kSteps[static_cast<int>(slot)], [&] {
      slots[{cookie, slot}] = fd;
    });
  }
  base::Status DetachLookup(uint64_t cookie) override {
    return Step("DetachLookup", [&] { lookups.erase(cookie); });
  }
  base::Status EnableConnect(uint64_t cookie, const base::IpAddress* v4,
                             const base::IpAddress* v6) override {
    return Step("EnableConnect", [&] {
      connects[cookie] = base::StrCat(v4 == nullptr ? "-" : v4->ToString(), " ",
                                      v6 == nullptr ? "-" : v6->ToString());
    });
  }
  base::Status DisableConnect(uint64_t cookie) override {
    return Step("DisableConnect", [&] { connects.erase(cookie); });
  }
  base::StatusOr<std::vector<std::string>> RemoveOtherVersions() override {
    NODEWARD_TRY(Step("RemoveOtherVersions", [] {}));
    return std::vector<std::string>();
  }
  base::Status AttachProbe(uint64_t cookie, int ifindex, bool closed) override {
    return Step(closed ? "AttachProbe(closed)" : "AttachProbe", [&] {
      probes[cookie] = {ifindex, closed};
    });
  }
  base::Status DetachProbe(int) override {
    return Step("DetachProbe", [] {});
  }
  base::Status AttachGuard(uint64_t cookie, int ifindex) override {
    return Step("AttachGuard", [&] { guards[cookie] = ifindex; });
  }
  // A step only where there is one: else nothing happens.
  base::Status DetachGuard(uint64_t cookie) override {
    {
      base::MutexLock lock(&mutex_);
      if (!guards.contains(cookie)) return base::OkStatus();
    }
    return Step("DetachGuard", [&] { guards.erase(cookie); });
  }
  base::Status SetProbePorts(
      uint64_t cookie, const std::vector<base::Endpoint>& ports) override {
    return Step("SetProbePorts", [&] { probe_ports[cookie] = ports; });
  }
  std::vector<uint64_t> KnownPods() const override {
    base::MutexLock lock(&mutex_);
    return known;
  }
  base::Status Forget(uint64_t cookie) override {
    return Step("Forget", [&] {
      lookups.erase(cookie);
      connects.erase(cookie);
      probes.erase(cookie);
      guards.erase(cookie);
      probe_ports.erase(cookie);
      forgotten.insert(cookie);
    });
  }
  base::Status SetDestinations(
      const std::vector<kernel::Destination>& list) override {
    return Step("SetDestinations", [&] { destinations = list; });
  }
  base::Status SetMeshCidrs(const std::vector<base::Cidr>& list) override {
    return Step("SetMeshCidrs", [&] { cidrs = list; });
  }
  base::Status SetKubeletCgroups(const std::vector<uint64_t>& ids) override {
    return Step("SetKubeletCgroups", [&] { kubelets = ids; });
  }
  base::Status SetNodeAddresses(
      const std::vector<base::IpAddress>& list) override {
    return Step("SetNodeAddresses", [&] { node_addresses = list; });
  }
  absl::flat_hash_map<std::string, uint64_t> Counters() const override {
    return {{"connect_captured", 7}};
  }
  base::Status TagAgentSocket(int) override {
    base::MutexLock lock(&mutex_);
    ++tagged;
    return failing.contains("TagAgentSocket")
               ? absl::InternalError("TagAgentSocket fails")
               : base::OkStatus();
  }
  std::optional<base::Endpoint> TakeFlow(uint64_t cookie,
                                         const base::Endpoint& application,
                                         const base::Endpoint&) override {
    base::MutexLock lock(&mutex_);
    const auto found = flows.find({cookie, application});
    if (found == flows.end()) return std::nullopt;
    const base::Endpoint destination = found->second;
    flows.erase(found);
    return destination;
  }

  // Runs `look` while nobody changes anything.
  template <typename Look>
  auto With(Look look) const {
    base::MutexLock lock(&mutex_);
    return look();
  }
  void Fail(const std::string& step, bool fail = true) {
    base::MutexLock lock(&mutex_);
    if (fail) {
      failing.insert(step);
    } else {
      failing.erase(step);
    }
  }

  mutable base::Mutex mutex_;
  std::vector<std::string> steps;
  std::set<std::string> failing;
  std::set<uint64_t> lookups, forgotten;
  std::map<std::pair<uint64_t, kernel::Slot>, int> slots;
  std::map<uint64_t, std::string> connects;
  std::map<uint64_t, std::pair<int, bool>> probes;  // ifindex, closed
  std::map<uint64_t, int> guards;                   // ifindex
  std::map<uint64_t, std::vector<base::Endpoint>> probe_ports;
  std::map<std::pair<uint64_t, base::Endpoint>, base::Endpoint> flows;
  std::vector<uint64_t> known;
  std::vector<kernel::Destination> destinations;
  std::vector<base::Cidr> cidrs;
  std::vector<uint64_t> kubelets;
  std::vector<base::IpAddress> node_addresses;
  int tagged = 0;

 private:
  template <typename Act>
  base::Status Step(const std::string& name, Act act) {
    base::MutexLock lock(&mutex_);
    steps.push_back(name);
    if (failing.contains(name)) {
      return absl::InternalError(base::StrCat(name, " fails"));
    }
    act();
    return base::OkStatus();
  }
  kernel::Features features_;
};

}  // namespace nodeward::capture
