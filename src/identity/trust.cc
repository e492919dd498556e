// SPDX-License-Identifier: Apache-2.0
#include "identity/trust.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "pki/file.h"
#include "pki/peer_verifier.h"

namespace nodeward::identity {
namespace {

constexpr absl::Duration kSameTwice = absl::Milliseconds(50);
constexpr size_t kMaxFiles = 1000;

base::StatusOr<std::string> ReadFolder(const std::string& path) {
  std::set<std::string> files;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(path, error);
       !error && entry != std::filesystem::directory_iterator();
       entry.increment(error)) {
    const std::filesystem::path file = entry->path();
    const std::string kind = file.extension();
    if (file.filename().string().starts_with('.') ||
        (kind != ".crt" && kind != ".pem" && kind != ".crl")) {
      continue;
    }
    files.insert(file);
  }
  if (error) {
    return absl::UnavailableError(
        base::StrCat("read folder ", path, ": ", error.message()));
  }
  if (files.size() > kMaxFiles) {
    return absl::FailedPreconditionError(base::StrCat("read folder ", path,
                                                      ": more than ", kMaxFiles,
                                                      " certificates in it"));
  }
  std::string all;
  for (const std::string& file : files) {
    NODEWARD_ASSIGN(const pki::File one, pki::ReadFile(file));
    base::StrAppend(&all, one.text, "\n");
  }
  return all;
}

// What stands at `path`, a folder's files one after another.
base::StatusOr<std::string> ReadText(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return ReadFolder(path);
  NODEWARD_ASSIGN(pki::File file, pki::ReadFile(path));
  return std::move(file.text);
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool SameRoots(const std::vector<pki::Certificate>& a,
               const std::vector<pki::Certificate>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const pki::Certificate& x, const pki::Certificate& y) {
                      return x.Sha256Hex() == y.Sha256Hex();
                    });
}

}  // namespace

struct Trust::Item {
  enum class Kind { kBundle, kRevocations, kFederation };
  Kind kind;
  std::string domain;  // kFederation
  std::string path;
  std::optional<base::StatusOr<std::string>> seen;   // at the last look
  std::optional<base::StatusOr<std::string>> taken;  // judged
  std::string problem;
  std::vector<pki::Certificate> roots;
  std::vector<pki::RevocationList> lists;
};

base::StatusOr<std::unique_ptr<Trust>> Trust::Create(
    io::Loop& loop, pki::CredentialStore* store, Options options,
    std::function<void()> changed) {
  std::unique_ptr<Trust> trust(
      new Trust(loop, store, std::move(options), std::move(changed)));
  if (trust->items_.empty()) return trust;
  std::vector<std::string> paths;
  for (const auto& item : trust->items_) paths.push_back(item->path);
  NODEWARD_ASSIGN(trust->watch_,
                  FileWatch::Create(loop, std::move(paths),
                                    [raw = trust.get()] { raw->Look(); }));
  for (const auto& item : trust->items_) {
    item->seen = ReadText(item->path);
    trust->Take(*item);
  }
  trust->Publish();
  return trust;
}

Trust::Trust(io::Loop& loop, pki::CredentialStore* store, Options options,
             std::function<void()> changed)
    : loop_(loop),
      store_(store),
      options_(std::move(options)),
      changed_(std::move(changed)),
      settle_(loop, [this] { Look(); }) {
  const auto add = [this](Item::Kind kind, const std::string& domain,
                          const std::string& path) {
    if (path.empty()) return;
    items_.push_back(std::make_unique<Item>());
    items_.back()->kind = kind;
    items_.back()->domain = domain;
    items_.back()->path = path;
  };
  add(Item::Kind::kBundle, "", options_.bundle);
  add(Item::Kind::kRevocations, "", options_.crl);
  for (const auto& [domain, path] : options_.federation) {
    add(Item::Kind::kFederation, domain, path);
  }
}

Trust::~Trust() = default;

void Trust::Look() {
  bool unsettled = false;
  bool news = false;
  for (const auto& item : items_) {
    base::StatusOr<std::string> text = ReadText(item->path);
    if (text == item->taken) {
      item->seen = std::move(text);
    } else if (text == item->seen) {
      Take(*item);
      news = true;
    } else {
      item->seen = std::move(text);
      unsettled = true;
    }
  }
  if (unsettled) settle_.Set(kSameTwice);
  if (news) Publish();
}

void Trust::Take(Item& item) {
  item.taken = item.seen;
  base::Status status = item.taken->status();
  if (status.ok() && item.kind == Item::Kind::kRevocations) {
    auto lists = pki::RevocationList::ParsePemBundle(**item.taken);
    status = lists.status();
    if (lists.ok()) item.lists = *std::move(lists);
  } else if (status.ok() && item.kind == Item::Kind::kFederation &&
             IsBlank(**item.taken)) {
    item.roots.clear();
  } else if (status.ok()) {
    auto roots = pki::Certificate::ParsePemBundle(**item.taken);
    status = roots.status();
    if (roots.ok()) item.roots = *std::move(roots);
  }
  if (status.ok()) {
    item.problem.clear();
    base::LogInfo("trust read", {{"path", item.path},
                                 {"roots", base::StrCat(item.roots.size())},
                                 {"lists", base::StrCat(item.lists.size())}});
    return;
  }
  const bool had = !item.roots.empty() || !item.lists.empty();
  item.problem =
      base::StrCat(item.path, ": ", std::string(status.message()),
                   had ? " (what was read before stays in force)" : "");
  base::LogError("trust not usable", {{"problem", item.problem}});
}

bool Trust::Offer(const std::vector<pki::Certificate>& roots) {
  if (!options_.bundle.empty() || SameRoots(roots, offered_)) return false;
  offered_ = roots;
  Publish();
  return true;
}

const std::vector<pki::Certificate>& Trust::RootsFor(
    const std::vector<pki::Certificate>& offered) const {
  return options_.bundle.empty() ? offered : items_.front()->roots;
}

void Trust::Publish() {
  const auto old = store_->bundle();
  pki::TrustBundle bundle{options_.trust_domain, options_.aliases, offered_,
                          old == nullptr ? 1 : old->generation + 1};
  bundle.revocation_required = options_.crl_required;
  for (const auto& item : items_) {
    if (item->kind == Item::Kind::kBundle) bundle.roots = item->roots;
    if (item->kind == Item::Kind::kRevocations)
      bundle.revocations = item->lists;
    if (item->kind == Item::Kind::kFederation) {
      bundle.federation[item->domain] = item->roots;
    }
  }
  // Before there are roots of our own nobody can be spoken to.
  if (bundle.roots.empty()) return;
  if (old != nullptr && SameRoots(old->roots, bundle.roots) &&
      !pki::TakesTrustAway(*old, bundle) &&
      !pki::TakesTrustAway(bundle, *old)) {
    return;
  }
  store_->SetBundle(
      std::make_shared<const pki::TrustBundle>(std::move(bundle)));
  if (changed_ != nullptr) loop_.Post(changed_);
}

std::string Trust::Description() const {
  std::string text = options_.bundle.empty()
                         ? "roots from the CA"
                         : base::StrCat("roots from ", options_.bundle);
  if (!options_.crl.empty()) {
    base::StrAppend(&text, ", revocation lists from ", options_.crl,
                    options_.crl_required ? " (required)" : "");
  }
  for (const auto& [domain, path] : options_.federation) {
    base::StrAppend(&text, ", ", domain, " from ", path);
  }
  return text;
}

std::vector<std::string> Trust::problems() const {
  std::vector<std::string> all;
  for (const auto& item : items_) {
    if (!item->problem.empty()) all.push_back(item->problem);
  }
  return all;
}

}  // namespace nodeward::identity
