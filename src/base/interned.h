// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "base/mutex.h"

namespace nodeward::base {

// An immutable value of which the process holds one copy, however many have
// it: the names, labels and ports of a Deployment's ten thousand pods. As small
// as a pointer; null for T{}. Equal values have equal addresses.
// A new value is looked up under a lock: keep it away from the data path.
// Reading, copying and comparing lock nothing, dropping the last copy does.
// Any thread; T must be hashable by absl::Hash and comparable.
template <typename T>
class Interned {
 public:
  Interned() = default;
  template <typename U>
    requires(std::convertible_to<U &&, T> &&
             !std::same_as<std::remove_cvref_t<U>, Interned>)
  // NOLINTNEXTLINE(*-explicit-*,bugprone-forwarding-*): stands for a T
  Interned(U&& value) : node_(Pool::Of().Take(T(std::forward<U>(value)))) {}
  Interned(const Interned& other) : node_(other.node_) {
    if (node_ != nullptr) Pool::Of().Hold(node_);
  }
  Interned(Interned&& other) noexcept
      : node_(std::exchange(other.node_, nullptr)) {}
  // NOLINTNEXTLINE(bugprone-unhandled-self-assignment): a copy is swapped in
  Interned& operator=(const Interned& other) { return *this = Interned(other); }
  Interned& operator=(Interned&& other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  Interned& operator=(T value) { return *this = Interned(std::move(value)); }
  template <typename U>
    requires(std::convertible_to<U &&, T> &&
             !std::same_as<std::remove_cvref_t<U>, Interned>)
  Interned& operator=(U&& value) {
    return *this = Interned(std::forward<U>(value));
  }
  ~Interned() {
    if (node_ != nullptr) Pool::Of().Drop(node_);
  }

  const T& operator*() const {
    static const T* const kNone = new T();
    return node_ == nullptr ? *kNone : node_->value;
  }
  const T* operator->() const { return &**this; }
  operator const T&() const { return **this; }  // NOLINT(*-explicit-*)
  auto begin() const
    requires requires(const T& t) { t.begin(); }
  {
    return (**this).begin();
  }
  auto end() const
    requires requires(const T& t) { t.end(); }
  {
    return (**this).end();
  }

  friend bool operator==(const Interned& a, const Interned& b) {
    return a.node_ == b.node_;
  }
  template <typename U>
    requires(std::convertible_to<const U&, T> && !std::same_as<U, Interned>)
  friend bool operator==(const Interned& a, const U& b) {
    return *a == b;
  }

 private:
  struct Node {
    T value;
    std::atomic<uint32_t> holders;
  };

  struct Hash {
    using is_transparent = void;
    size_t operator()(const Node* node) const { return (*this)(node->value); }
    size_t operator()(const T& value) const { return absl::Hash<T>()(value); }
  };
  struct Equal {
    using is_transparent = void;
    static const T& Of(const Node* node) { return node->value; }
    static const T& Of(const T& value) { return value; }
    bool operator()(const auto& a, const auto& b) const {
      return Of(a) == Of(b);
    }
  };

  class Pool {
   public:
    static Pool& Of() {
      static Pool* const pool = new Pool();  // outlives every static
      return *pool;
    }
    Node* Take(T value) {
      if (value == T()) return nullptr;
      MutexLock lock(&mutex_);
      const auto found = nodes_.find(value);
      if (found != nodes_.end()) {
        Hold(*found);
        return *found;
      }
      Node* const node = new Node{std::move(value), 1};
      nodes_.insert(node);
      return node;
    }
    void Hold(Node* node) {
      node->holders.fetch_add(1, std::memory_order_relaxed);
    }
    // From one to none only under the lock, where Take() may find the node.
    void Drop(Node* node) {
      uint32_t holders = node->holders.load(std::memory_order_relaxed);
      while (holders > 1) {
        if (node->holders.compare_exchange_weak(holders, holders - 1,
                                                std::memory_order_release,
                                                std::memory_order_relaxed)) {
          return;
        }
      }
      MutexLock lock(&mutex_);
      if (node->holders.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
      nodes_.erase(node);
      delete node;
    }

   private:
    Mutex mutex_;
    absl::flat_hash_set<Node*, Hash, Equal> nodes_ ABSL_GUARDED_BY(mutex_);
  };

  Node* node_ = nullptr;
};

}  // namespace nodeward::base
