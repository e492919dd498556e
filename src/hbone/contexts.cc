// SPDX-License-Identifier: Apache-2.0
#include "hbone/contexts.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"

namespace nodeward::hbone {

std::shared_ptr<const tls::Context> Contexts::Find(
    const model::Identity& identity, tls::Role role,
    tls::Context::Options::Alpn alpn) {
  const Key key(identity, role, alpn);
  const auto found = contexts_.find(key);
  if (found != contexts_.end()) {
    if (found->second->credential().leaf().not_after() > absl::Now()) {
      return found->second;
    }
    contexts_.erase(found);
  }
  auto credential = store_->Find(identity);
  auto bundle = store_->bundle();
  if (credential == nullptr || bundle == nullptr ||
      credential->leaf().not_after() <= absl::Now()) {
    return nullptr;
  }
  tls::Context::Options options;
  options.alpn = alpn;
  auto made = tls::Context::Create(role, options, std::move(credential),
                                   std::move(bundle));
  if (!made.ok()) {
    base::LogError("make TLS context",
                   {{"identity", identity.ToSpiffe()},
                    {"error", std::string(made.status().message())}});
    return nullptr;
  }
  contexts_[key] = *made;
  return *made;
}

void Contexts::Refresh() {
  const auto bundle = store_->bundle();
  absl::erase_if(contexts_, [&](const auto& entry) {
    const tls::Context& context = *entry.second;
    const auto credential = store_->Find(context.credential().identity);
    return credential.get() != &context.credential() ||
           bundle.get() != &context.bundle();
  });
}

}  // namespace nodeward::hbone
