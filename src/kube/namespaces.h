// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "kube/reflector.h"

namespace nodeward::kube {

// Notes which Namespaces there are and which are opted in, while another sink
// takes their objects.
class Namespaces final : public ObjectSink {
 public:
  // `next` outlives this.
  explicit Namespaces(ObjectSink* next) : next_(next) {}

  // By name: do its labels opt it in?
  const std::map<std::string, bool>& opted_in() const { return opted_in_; }

  void Put(base::Json object) override;
  void Remove(const std::string& key) override;
  void Synced(const absl::flat_hash_set<std::string>& keys) override;

 private:
  ObjectSink* const next_;
  std::map<std::string, bool> opted_in_;
};

}  // namespace nodeward::kube
