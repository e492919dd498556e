// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "model/snapshot.h"
#include "pki/client_material.h"
#include "pki/digest.h"

namespace nodeward::identity {

// Reads what DestinationRules ask of the pods of one node: certificates, keys
// and roots out of the pods' proxy volumes or out of Secrets of their
// namespace. One thread.
//
// What cannot be read has a null entry, so that connections are refused; but
// what was read before stays, as long as its pod and rule do: a pair that does
// not fit while somebody is half-way through exchanging it breaks nothing.
class ClientFiles {
 public:
  // For the pods of the mesh on `node`.
  std::shared_ptr<const pki::ClientMaterials> Read(
      const model::Snapshot& snapshot, const std::string& node);

  // What an operator should know of the last Read: a line for each rule and
  // reason, not for each pod.
  const std::vector<model::Problem>& problems() const { return problems_; }
  // The ConfigMaps and Secrets that the last Read looked for, there or not.
  const std::set<model::FileSetKey>& wanted() const { return wanted_; }

 private:
  struct Kept {
    std::optional<pki::Digest> digest;  // of what the entry was made of
    pki::ClientMaterials::Entry entry;
    std::string problem;
  };
  using Loaded = absl::flat_hash_map<std::string, Kept>;
  // By rule and reason: the pods.
  using Told = std::map<std::pair<const model::DestinationRule*, std::string>,
                        std::vector<std::string>>;

  const Kept& Load(const model::Snapshot& snapshot,
                   const model::Workload& client, const model::ClientTls& tls,
                   Loaded* loaded);
  void TellProblems(const Told& told);

  Loaded loaded_;
  std::vector<model::Problem> problems_;
  std::set<model::FileSetKey> wanted_;
};

}  // namespace nodeward::identity
