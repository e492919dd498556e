// SPDX-License-Identifier: Apache-2.0
#include "base/tree_builder.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace nodeward::base {
namespace {

// From here on a set finds duplicate keys, below it a plain search does.
constexpr size_t kLargeMap = 32;

// ordered_json's own insertions search for the key every time; we have done so.
void AppendMember(Json* object, std::string key, Json value) {
  auto* members = object->get_ptr<Json::object_t*>();
  static_cast<Json::object_t::Container*>(members)->emplace_back(
      std::move(key), std::move(value));
}

bool HasMember(const Json& object, const std::string& key) {
  const auto* members = object.get_ptr<const Json::object_t*>();
  return std::any_of(members->begin(), members->end(),
                     [&](const auto& member) { return member.first == key; });
}

Status MergeMembers(const Json& from, Json* into) {
  if (!from.is_object()) {
    return absl::InvalidArgumentError("'<<' must be a map or a list of maps");
  }
  for (const auto& member : *from.get_ptr<const Json::object_t*>()) {
    if (!HasMember(*into, member.first)) {
      AppendMember(into, member.first, member.second);
    }
  }
  return OkStatus();
}

// YAML's merge key: the members of other maps, where the map has none itself.
Status ApplyMergeKey(Json* object) {
  auto* members = object->get_ptr<Json::object_t*>();
  const auto found =
      std::find_if(members->begin(), members->end(),
                   [](const auto& member) { return member.first == "<<"; });
  if (found == members->end()) return OkStatus();
  const Json from = std::move(found->second);
  members->erase(found);
  if (!from.is_array()) return MergeMembers(from, object);
  for (const Json& each : from) NODEWARD_TRY(MergeMembers(each, object));
  return OkStatus();
}

}  // namespace

void AppendPointer(std::string* pointer, std::string_view key) {
  pointer->push_back('/');
  for (const char c : key) {
    if (c == '~') {
      pointer->append("~0");
    } else if (c == '/') {
      pointer->append("~1");
    } else {
      pointer->push_back(c);
    }
  }
}

bool TreeBuilder::AwaitsKey() const {
  return !levels_.empty() && levels_.back().value.is_object() &&
         !levels_.back().keyed;
}

std::string TreeBuilder::NextPointer() const {
  if (levels_.empty()) return "";
  const Level& level = levels_.back();
  std::string pointer = level.pointer;
  AppendPointer(&pointer, level.value.is_object()
                              ? level.key
                              : std::to_string(level.value.size()));
  return pointer;
}

Status TreeBuilder::Start(Json empty, int line) {
  if (levels_.size() >= kMaxDepth) {
    return absl::InvalidArgumentError(
        StrCat("nested deeper than ", kMaxDepth, " levels"));
  }
  Level level;
  level.value = std::move(empty);
  level.pointer = NextPointer();
  document_.lines.try_emplace(level.pointer, line);
  levels_.push_back(std::move(level));
  return OkStatus();
}

Status TreeBuilder::Key(std::string key, int line) {
  Level& level = levels_.back();
  const bool duplicate = level.keys.empty() ? HasMember(level.value, key)
                                            : level.keys.contains(key);
  if (duplicate) {
    return absl::InvalidArgumentError(StrCat("duplicate key '", key, "'"));
  }
  if (!level.keys.empty()) {
    level.keys.insert(key);
  } else if (level.value.size() >= kLargeMap) {
    for (const auto& member : *level.value.get_ptr<Json::object_t*>()) {
      level.keys.insert(member.first);
    }
    level.keys.insert(key);
  }
  level.key = std::move(key);
  level.keyed = true;
  document_.lines.try_emplace(NextPointer(), line);
  return OkStatus();
}

Status TreeBuilder::Graft(Subtree subtree, int line) {
  if (static_cast<int>(levels_.size()) + subtree.depth > kMaxDepth) {
    return absl::InvalidArgumentError(
        StrCat("nested deeper than ", kMaxDepth, " levels"));
  }
  document_.lines.try_emplace(NextPointer(), line);
  return Store(std::move(subtree.value), subtree.nodes, subtree.depth);
}

Status TreeBuilder::End() {
  Level level = std::move(levels_.back());
  levels_.pop_back();
  if (level.value.is_object()) NODEWARD_TRY(ApplyMergeKey(&level.value));
  return Store(std::move(level.value), level.nodes, level.depth);
}

Status TreeBuilder::Store(Json value, size_t nodes, int depth) {
  last_nodes_ = nodes;
  last_depth_ = depth;
  if (levels_.empty()) {
    document_.value = std::move(value);
    last_ = &document_.value;
    return OkStatus();
  }
  Level& level = levels_.back();
  level.nodes += nodes;
  level.depth = std::max(level.depth, depth + 1);
  if (!level.value.is_object()) {
    auto* items = level.value.get_ptr<Json::array_t*>();
    items->push_back(std::move(value));
    last_ = &items->back();
    return OkStatus();
  }
  level.keyed = false;
  AppendMember(&level.value, std::move(level.key), std::move(value));
  level.key.clear();
  last_ = &level.value.get_ptr<Json::object_t*>()->back().second;
  return OkStatus();
}

}  // namespace nodeward::base
