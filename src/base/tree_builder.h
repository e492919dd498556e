// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "base/yaml.h"

namespace nodeward::base {

// Puts the events of a parser together to one document: guards depth and
// duplicate keys and notes the lines. After an error it is of no further use.
class TreeBuilder {
 public:
  static constexpr int kMaxDepth = 64;

  // What an alias repeats.
  struct Subtree {
    Json value;
    size_t nodes = 1;
    int depth = 0;  // levels of containers; a scalar has none
  };

  explicit TreeBuilder(int line = 1) { document_.line = line; }

  Status StartMap(int line) { return Start(Json::object(), line); }
  Status StartSequence(int line) { return Start(Json::array(), line); }
  Status Key(std::string key, int line);
  Status Value(Json value, int line) {
    return Graft({std::move(value), 1, 0}, line);
  }
  // A ready-made subtree.
  Status Graft(Subtree subtree, int line);
  // Ends the innermost map or sequence.
  Status End();

  // Inside a map whose next scalar is a key.
  bool AwaitsKey() const;
  // The value that was completed last, copied.
  Subtree Last() const { return {*last_, last_nodes_, last_depth_}; }
  size_t last_nodes() const { return last_nodes_; }
  // REQUIRES: every container has ended.
  YamlDocument Take() && { return std::move(document_); }

 private:
  struct Level {
    Json value;
    std::string pointer;  // of the container
    std::string key;      // of the member to come
    bool keyed = false;
    size_t nodes = 1;
    int depth = 1;
    // Of large maps only; small ones are searched.
    absl::flat_hash_set<std::string> keys;
  };

  Status Start(Json empty, int line);
  std::string NextPointer() const;
  // Stores a completed value where it belongs.
  Status Store(Json value, size_t nodes, int depth);

  YamlDocument document_;
  std::vector<Level> levels_;
  const Json* last_ = nullptr;
  size_t last_nodes_ = 0;
  int last_depth_ = 0;
};

}  // namespace nodeward::base
