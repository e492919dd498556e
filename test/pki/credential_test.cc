// SPDX-License-Identifier: Apache-2.0
#include "pki/credential.h"

#include <gtest/gtest.h>

#include <thread>

#include "pki/forge.h"

namespace nodeward::pki {
namespace {

TEST(TrustBundle, TrustsItsDomainAndAliasesExactly) {
  const TrustBundle bundle{"cluster.local", {"old.example"}, {}, 1};
  EXPECT_TRUE(bundle.Trusts("cluster.local"));
  EXPECT_TRUE(bundle.Trusts("old.example"));
  EXPECT_FALSE(bundle.Trusts("cluster.loca"));
  EXPECT_FALSE(bundle.Trusts("cluster.local."));
  EXPECT_FALSE(bundle.Trusts(""));
}

TEST(CredentialStore, FindsWhatWasPutUntilRemoved) {
  const Root root = NewRoot();
  CredentialStore store;
  EXPECT_EQ(store.Find(Id("a")), nullptr);
  EXPECT_EQ(store.bundle(), nullptr);
  const auto first = NewCredential(root, Id("a"));
  const auto second = NewCredential(root, Id("a"));
  store.Put(first);
  store.Put(NewCredential(root, Id("b")));
  EXPECT_EQ(store.Find(Id("a")), first);
  EXPECT_EQ(store.All().size(), 2u);
  store.Put(second);
  EXPECT_EQ(store.Find(Id("a")), second);
  EXPECT_EQ(store.All().size(), 2u);
  store.Remove(Id("a"));
  store.Remove(Id("never there"));
  EXPECT_EQ(store.Find(Id("a")), nullptr);
  EXPECT_EQ(store.All().size(), 1u);
  store.SetBundle(NewBundle(root));
  EXPECT_EQ(store.bundle()->trust_domain, "cluster.local");
}

TEST(CredentialStore, LetsGoOfRemovedKeys) {
  CredentialStore store;
  auto credential = NewCredential(NewRoot(), Id("a"));
  const std::weak_ptr<const Credential> watch = credential;
  store.Put(std::move(credential));
  store.Remove(Id("a"));
  EXPECT_TRUE(watch.expired());
}

TEST(CredentialStore, TakesManyThreads) {
  const Root root = NewRoot();
  CredentialStore store;
  const auto credential = NewCredential(root, Id("a"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, &root, credential] {
      for (int i = 0; i < 2000; ++i) {
        store.Put(credential);
        if (const auto found = store.Find(Id("a"))) {
          EXPECT_EQ(found->identity, Id("a"));
        }
        store.SetBundle(NewBundle(root));
        EXPECT_EQ(store.bundle()->roots.size(), 1u);
        store.Remove(Id("a"));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace nodeward::pki
