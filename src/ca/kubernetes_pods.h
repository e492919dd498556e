// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "ca/pod_directory.h"

namespace nodeward::ca {

// Asks the Kubernetes API about pods when somebody wants to know, by field
// selectors that leave the one ServiceAccount on the one node. So what it says
// is never older than the question, and a pod that was just scheduled is there.
// An agent asks once for each ServiceAccount in half a lifetime: two small
// requests each. Needs get and list of pods and get of namespaces.
class KubernetesPods final : public PodDirectory {
 public:
  // Gets the API's path and returns status and body.
  using Get = std::function<base::StatusOr<std::pair<long, std::string>>(
      const std::string& path)>;
  KubernetesPods(std::string trust_domain, Get get)
      : trust_domain_(std::move(trust_domain)), get_(std::move(get)) {}

  base::StatusOr<Pod> Find(const std::string& name_space,
                           const std::string& name) const override;
  base::StatusOr<Pod> OnNode(const std::string& node,
                             const model::Identity& identity) const override;

 private:
  // The body; empty: 404.
  base::StatusOr<std::string> Ask(const std::string& path) const;
  base::StatusOr<std::vector<std::string>> AskPages(
      const std::string& path) const;

  const std::string trust_domain_;
  const Get get_;
};

// `text` as one segment of a path or one value of a query (RFC 3986).
std::string PercentEncode(std::string_view text);

}  // namespace nodeward::ca
