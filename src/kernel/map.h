// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace nodeward::kernel {

// A BPF map by its descriptor, keys and values as bytes. Thread-safe as far as
// the kernel's maps are: no state of its own.
class RawMap {
 public:
  RawMap() = default;
  RawMap(base::Fd fd, std::string name)
      : fd_(std::move(fd)), name_(std::move(name)) {}

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }

 protected:
  // kResourceExhausted: the map is full.
  base::Status Write(const void* key, const void* value) const;
  // Absent is OK.
  base::Status Remove(const void* key) const;
  bool Read(const void* key, void* value) const;
  // Reads and removes in one step.
  bool ReadAndRemove(const void* key, void* value) const;
  // The key after `key` (null: the first); false: no more.
  bool Next(const void* key, void* next) const;

 private:
  base::Fd fd_;
  std::string name_;
};

template <typename Key, typename Value>
class Map : public RawMap {
 public:
  using RawMap::RawMap;

  base::Status Set(const Key& key, const Value& value) const {
    return Write(&key, &value);
  }
  base::Status Erase(const Key& key) const { return Remove(&key); }
  std::optional<Value> Get(const Key& key) const {
    Value value{};
    if (!Read(&key, &value)) return std::nullopt;
    return value;
  }
  std::optional<Value> Take(const Key& key) const {
    Value value{};
    if (!ReadAndRemove(&key, &value)) return std::nullopt;
    return value;
  }
  // REQUIRES: nobody else removes keys meanwhile.
  std::vector<Key> Keys() const {
    std::vector<Key> keys;
    Key next{};
    while (Next(keys.empty() ? nullptr : &keys.back(), &next))
      keys.push_back(next);
    return keys;
  }
};

}  // namespace nodeward::kernel
