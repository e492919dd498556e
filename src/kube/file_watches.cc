// SPDX-License-Identifier: Apache-2.0
#include "kube/file_watches.h"

#include <tuple>
#include <utility>

#include "base/text.h"
#include "kube/resource_watch.h"

namespace nodeward::kube {
namespace {

// As Reflector puts it.
constexpr char kForbidden[] = "the API server answers 403";

Resource ResourceOf(const model::FileSetKey& key) {
  const auto& [kind, name_space, name] = key;
  return {.kind = kind,
          .paths = {base::StrCat("/api/v1/namespaces/", name_space, "/",
                                 kind == "Secret" ? "secrets" : "configmaps")},
          .field_selector = "metadata.name=" + name};
}

// "a, b"
void Append(const std::string& name, std::string* list) {
  base::StrAppend(list, list->empty() ? "" : ", ", name);
}

}  // namespace

class FileWatches::Entry final : private ObjectSink {
 public:
  Entry(FileWatches* all, const model::FileSetKey& key)
      : mirror_(all->mirror_),
        key_(key),
        watch_(all->loop_, all->client_, ResourceOf(key),
               static_cast<ObjectSink*>(this), all->random_, all->changed_) {
    watch_.Start();
  }
  ~Entry() override { mirror_->RemoveFiles(key_); }

  const std::string& problem() const { return watch_.state().problem(); }

 private:
  void Put(base::Json object) override {
    mirror_->PutFiles(key_, std::move(object));
  }
  void Remove(const std::string&) override { mirror_->RemoveFiles(key_); }
  void Synced(const absl::flat_hash_set<std::string>& keys) override {
    if (keys.empty()) mirror_->RemoveFiles(key_);
  }

  Mirror* const mirror_;
  const model::FileSetKey key_;
  ResourceWatch watch_;
};

FileWatches::FileWatches(io::Loop& loop, HttpClient* client, Mirror* mirror,
                         std::function<double()> random,
                         std::function<void()> changed)
    : loop_(loop),
      client_(client),
      mirror_(mirror),
      random_(std::move(random)),
      changed_(std::move(changed)) {}

FileWatches::~FileWatches() = default;

void FileWatches::Want(const std::set<model::FileSetKey>& wanted) {
  const size_t forgotten = std::erase_if(entries_, [&](const auto& entry) {
    return !wanted.contains(entry.first);
  });
  for (const model::FileSetKey& key : wanted) {
    auto& entry = entries_[key];
    if (entry == nullptr) entry = std::make_unique<Entry>(this, key);
  }
  if (forgotten > 0) changed_();
}

std::vector<std::string> FileWatches::problems() const {
  std::vector<std::string> problems;
  std::set<std::string> forbidden;  // namespaces
  for (const auto& [key, entry] : entries_) {
    if (entry->problem().empty()) continue;
    if (entry->problem().find(kForbidden) != std::string::npos) {
      forbidden.insert(std::get<1>(key));
    } else {
      problems.push_back(entry->problem());
    }
  }
  for (const std::string& name_space : forbidden) {
    // All of the namespace: the entry is to be taken as it stands.
    std::string secrets;
    std::string config_maps;
    for (const auto& [key, entry] : entries_) {
      if (std::get<1>(key) != name_space) continue;
      Append(std::get<2>(key),
             std::get<0>(key) == "Secret" ? &secrets : &config_maps);
    }
    problems.push_back(base::StrCat(
        "DestinationRules need files of namespace ", name_space,
        " that the agent may not read; connections by them are refused. Add "
        "to the chart's values: tlsFiles: [{namespace: ",
        name_space, ", secrets: [", secrets, "], configMaps: [", config_maps,
        "]}]"));
  }
  return problems;
}

}  // namespace nodeward::kube
