// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/ip.h"
#include "discovery/objects.h"
#include "model/service.h"
#include "model/workload.h"

namespace nodeward::discovery {

// Which pods serve which services. Slices decide for a service that has any;
// else its selector and the pods' readiness do.
class EndpointResolver {
 public:
  using Workloads = std::vector<std::shared_ptr<const model::Workload>>;

  // All three must outlive it.
  EndpointResolver(const Workloads& workloads,
                   const std::vector<const Service*>& services,
                   const std::vector<const EndpointSlice*>& slices);

  std::shared_ptr<const model::Service> Resolve(const Service& service) const;

 private:
  using Workload = std::shared_ptr<const model::Workload>;
  struct Pair {  // one label of a namespace
    std::string_view name_space, key, value;
    friend bool operator==(const Pair&, const Pair&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Pair& pair) {
      return H::combine(std::move(h), pair.name_space, pair.key, pair.value);
    }
  };

  void FromSlices(const std::vector<const EndpointSlice*>& slices,
                  model::Service* result) const;
  void FromSelector(const Service& service, model::Service* result) const;

  // The candidates for a selector: those with its first label.
  absl::flat_hash_map<Pair, std::vector<const Workload*>> by_label_;
  absl::flat_hash_map<base::IpAddress, const Workload*> by_ip_;
  absl::flat_hash_map<std::pair<std::string, std::string>,
                      std::vector<const EndpointSlice*>>
      slices_;
};

}  // namespace nodeward::discovery
