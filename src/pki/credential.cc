// SPDX-License-Identifier: Apache-2.0
#include "pki/credential.h"

#include <algorithm>
#include <utility>

namespace nodeward::pki {

bool TrustBundle::IsOurs(std::string_view domain) const {
  return domain == trust_domain ||
         std::find(aliases.begin(), aliases.end(), domain) != aliases.end();
}

bool TrustBundle::Trusts(std::string_view domain) const {
  return IsOurs(domain) || federation.contains(std::string(domain));
}

bool TrustBundle::Same(const model::Identity& peer,
                       const model::Identity& expected) const {
  return peer == expected ||
         (peer.name_space == expected.name_space &&
          peer.service_account == expected.service_account &&
          IsOurs(peer.trust_domain) && IsOurs(expected.trust_domain));
}

std::shared_ptr<const Credential> CredentialStore::Find(
    const model::Identity& identity) const {
  base::MutexLock lock(&mutex_);
  const auto it = credentials_.find(identity);
  return it == credentials_.end() ? nullptr : it->second;
}

std::shared_ptr<const TrustBundle> CredentialStore::bundle() const {
  base::MutexLock lock(&mutex_);
  return bundle_;
}

std::vector<std::shared_ptr<const Credential>> CredentialStore::All() const {
  base::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<const Credential>> all;
  all.reserve(credentials_.size());
  for (const auto& [identity, credential] : credentials_) {
    all.push_back(credential);
  }
  return all;
}

void CredentialStore::Put(std::shared_ptr<const Credential> credential) {
  base::MutexLock lock(&mutex_);
  missing_.erase(credential->identity);
  // Swapped, so that an old key is not wiped under the lock.
  std::swap(credentials_[credential->identity], credential);
}

void CredentialStore::Remove(const model::Identity& identity, std::string why) {
  std::shared_ptr<const Credential> old;
  base::MutexLock lock(&mutex_);
  if (why.empty()) {
    missing_.erase(identity);
  } else {
    missing_[identity] = std::move(why);
  }
  const auto it = credentials_.find(identity);
  if (it == credentials_.end()) return;
  old = std::move(it->second);
  credentials_.erase(it);
}

std::string CredentialStore::WhyNone(const model::Identity& identity) const {
  base::MutexLock lock(&mutex_);
  const auto it = missing_.find(identity);
  return it == missing_.end() ? "not issued yet" : it->second;
}

void CredentialStore::SetWhyNone(const model::Identity& identity,
                                 std::string why) {
  base::MutexLock lock(&mutex_);
  missing_[identity] = std::move(why);
}

void CredentialStore::SetBundle(std::shared_ptr<const TrustBundle> bundle) {
  base::MutexLock lock(&mutex_);
  std::swap(bundle_, bundle);
}

}  // namespace nodeward::pki
