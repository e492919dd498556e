// SPDX-License-Identifier: Apache-2.0
#include "hbone/contexts.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/text.h"

namespace nodeward::hbone {
namespace {

// Contexts for DestinationRules kept although nobody uses them now.
constexpr size_t kMaxOriginating = 64;

}  // namespace

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

std::shared_ptr<const tls::Context> Contexts::FindOriginating(
    const std::shared_ptr<const pki::ClientMaterial>& material,
    const tls::Context::Origin& origin) {
  for (const auto& each : originating_) {
    if (each->material() == material.get() && each->origin() == origin) {
      return each;
    }
  }
  // What nobody else holds belongs to files or rules of former times, or rests.
  if (originating_.size() >= kMaxOriginating) {
    std::erase_if(originating_,
                  [](const auto& each) { return each.use_count() == 1; });
  }
  auto made = tls::Context::CreateOriginating(material, origin);
  if (!made.ok()) {
    base::LogError("make TLS context",
                   {{"error", std::string(made.status().message())}});
    return nullptr;
  }
  originating_.push_back(*made);
  return *made;
}

bool Contexts::Refresh() {
  auto bundle = store_->bundle();
  absl::erase_if(contexts_, [&](const auto& entry) {
    const tls::Context& context = *entry.second;
    const auto credential = store_->Find(context.credential().identity);
    return credential.get() != &context.credential() ||
           bundle.get() != &context.bundle();
  });
  if (bundle == nullptr || bundle == bundle_) return false;
  // A session may rest on a bundle between the two that we were told of.
  const bool lost = bundle_ == nullptr ||
                    bundle->generation != bundle_->generation + 1 ||
                    pki::TakesTrustAway(*bundle_, *bundle);
  bundle_ = std::move(bundle);
  return lost;
}

base::Status Contexts::CheckPeer(const tls::Session& session) {
  // The store's, not that of the last Refresh: a context may be newer.
  auto bundle = store_->bundle();
  if (bundle == nullptr || &session.context().bundle() == bundle.get()) {
    return base::OkStatus();
  }
  if (verifier_ == nullptr || &verifier_->bundle() != bundle.get()) {
    NODEWARD_ASSIGN(verifier_, pki::PeerVerifier::Create(std::move(bundle)));
  }
  return session.CheckPeerAgain(*verifier_);
}

std::string Contexts::WhyNone(const model::Identity& identity) const {
  return base::StrCat("no valid certificate of ", identity.ToSpiffe(), ": ",
                      store_->WhyNone(identity));
}

}  // namespace nodeward::hbone
