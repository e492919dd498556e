// SPDX-License-Identifier: Apache-2.0
#include "kube/namespaces.h"

#include <utility>

#include "discovery/field.h"
#include "discovery/opt_in.h"

namespace nodeward::kube {

void Namespaces::Put(base::Json object) {
  using Wish = discovery::OptIn::Wish;
  discovery::Findings ignored;
  const discovery::Field root(object, "", &ignored);
  const Wish wish = ReadOptIn(root["metadata"]["labels"], true).wish;
  opted_in_[KeyOf(object)] = wish == Wish::kEnabled || wish == Wish::kRequired;
  next_->Put(std::move(object));
}

void Namespaces::Remove(const std::string& key) {
  opted_in_.erase(key);
  next_->Remove(key);
}

void Namespaces::Synced(const absl::flat_hash_set<std::string>& keys) {
  std::erase_if(opted_in_,
                [&](const auto& entry) { return !keys.contains(entry.first); });
  next_->Synced(keys);
}

}  // namespace nodeward::kube
