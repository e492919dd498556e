// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "base/text.h"
#include "discovery/catalog.h"
#include "discovery/manifest.h"
#include "discovery/source.h"
#include "discovery/watch.h"

namespace nodeward::discovery {
namespace {

class Manifests : public Source {
 public:
  Manifests(std::unique_ptr<Watch> watch, ManifestOptions options)
      : context_{options.trust_domain, options.root_namespace},
        catalog_(std::move(options)),
        watch_(std::move(watch)) {}

  base::Status Start(std::function<void(model::SnapshotPtr)> changed) override {
    changed_ = std::move(changed);
    return watch_->Start([this](const std::vector<FileChange>& changes) {
      for (const FileChange& change : changes) Take(change);
      changed_(catalog_.Build(watch_->problems()));
    });
  }

 private:
  void Take(const FileChange& change) {
    const Manifest* const last = catalog_.Find(change.file);
    switch (change.kind) {
      case FileChange::Kind::kGone:
        catalog_.Remove(change.file);
        return;
      case FileChange::Kind::kText:
        catalog_.Put(change.file,
                     ReadManifest(change.file, change.text, last, context_));
        return;
      case FileChange::Kind::kUnreadable: {
        Manifest manifest = last == nullptr ? Manifest() : *last;
        manifest.problems = {
            {change.file, 0, "",
             base::StrCat(
                 base::FromAbsl(change.error.message()),
                 last == nullptr ? "" : "; the last good state stays in force"),
             false}};
        catalog_.Put(change.file, std::move(manifest));
        return;
      }
    }
  }

  const ManifestContext context_;
  Catalog catalog_;
  std::function<void(model::SnapshotPtr)> changed_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace

base::StatusOr<std::unique_ptr<Source>> WatchManifests(
    io::Loop& loop, ManifestOptions options) {
  NODEWARD_ASSIGN(auto watch, Watch::Create(loop, options.directory));
  return std::unique_ptr<Source>(
      std::make_unique<Manifests>(std::move(watch), std::move(options)));
}

}  // namespace nodeward::discovery
