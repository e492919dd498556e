// SPDX-License-Identifier: Apache-2.0
//
// As istio's pilot/pkg/security/trustdomain/bundle.go.
#include "policy/trust_domain.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace nodeward::policy {
namespace {

constexpr std::string_view kLocal = "cluster.local";

bool HasPrefix(std::string_view text, std::string_view pattern) {
  return pattern.ends_with('*') &&
         text.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool HasSuffix(std::string_view text, std::string_view pattern) {
  return pattern.starts_with('*') && text.ends_with(pattern.substr(1));
}

}  // namespace

TrustDomains::TrustDomains(const std::string& own,
                           const std::vector<std::string>& aliases,
                           std::vector<std::string> federated)
    : domains_({own}), federated_(std::move(federated)) {
  domains_.insert(domains_.end(), aliases.begin(), aliases.end());
}

bool TrustDomains::Accepts(const std::string& domain) const {
  const auto in = [&](const std::vector<std::string>& list) {
    return std::find(list.begin(), list.end(), domain) != list.end();
  };
  return in(domains_) || in(federated_);
}

std::vector<std::string> TrustDomains::Expand(
    const std::vector<std::string>& principals) const {
  std::vector<std::string> expanded;
  for (const std::string& principal : principals) Expand(principal, &expanded);
  return expanded;
}

void TrustDomains::Expand(const std::string& principal,
                          std::vector<std::string>* out) const {
  const std::string_view all = principal;
  const std::string_view domain = all.substr(0, all.find('/'));
  const bool names_one =
      std::count(all.begin(), all.end(), '/') == 4 && domain != "*";
  const bool ours =
      names_one &&
      (domain == kLocal ||
       std::any_of(domains_.begin(), domains_.end(), [&](const auto& known) {
         return domain == known || HasPrefix(known, domain) ||
                HasSuffix(known, domain);
       }));
  if (!ours) {
    out->push_back(principal);
    return;
  }
  for (const std::string& known : domains_) {
    // "*-td" covers "old-td" as it is.
    std::string spelt = HasSuffix(known, domain)
                            ? principal
                            : base::StrCat(known, all.substr(domain.size()));
    if (std::find(out->begin(), out->end(), spelt) == out->end()) {
      out->push_back(std::move(spelt));
    }
  }
}

}  // namespace nodeward::policy
