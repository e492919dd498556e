// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace nodeward::policy {

// The trust domain of the mesh and its aliases, which all name the same
// identities; and foreign ones, whose peers are accepted as what they are.
class TrustDomains {
 public:
  TrustDomains() = default;
  TrustDomains(const std::string& own, const std::vector<std::string>& aliases,
               std::vector<std::string> federated = {});

  // Are certificates of `domain` accepted at all?
  bool Accepts(const std::string& domain) const;

  // `principals` of a policy with those that name one of our trust domains, or
  // "cluster.local", which always means our own, spelt with each of them. Only
  // a principal of exactly five segments names a trust domain; one whose
  // domain is "*" or foreign stays as it is.
  std::vector<std::string> Expand(
      const std::vector<std::string>& principals) const;

  friend bool operator==(const TrustDomains&, const TrustDomains&) = default;

 private:
  void Expand(const std::string& principal,
              std::vector<std::string>* out) const;

  std::vector<std::string> domains_;
  std::vector<std::string> federated_;
};

}  // namespace nodeward::policy
