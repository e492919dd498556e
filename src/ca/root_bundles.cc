// SPDX-License-Identifier: Apache-2.0
#include "ca/root_bundles.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/time/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "discovery/manifest.h"

namespace nodeward::ca {
namespace {

constexpr char kKey[] = "root-cert.pem";
constexpr absl::Duration kSettle = absl::Milliseconds(10);
constexpr absl::Duration kTick = absl::Seconds(1);
constexpr absl::Duration kDeadline = absl::Seconds(10);
// Of a thousand namespaces not all at once.
constexpr size_t kAtOnce = 8;

bool OptsIn(const base::Json& object) {
  if (!base::GetString(base::GetMember(object, "metadata"), "deletionTimestamp")
           .empty()) {
    return false;  // nothing can be made there any more
  }
  base::Json named = object;
  // The items of a list name neither.
  named["apiVersion"] = "v1";
  named["kind"] = "Namespace";
  const discovery::Manifest manifest =
      discovery::ReadApiObject(std::move(named), nullptr, {});
  using Wish = discovery::OptIn::Wish;
  for (const discovery::Object& each : manifest.objects) {
    const auto* const found =
        std::get_if<std::shared_ptr<const discovery::Namespace>>(&each.content);
    if (found == nullptr || (*found)->name == "kube-system") continue;
    const Wish wish = (*found)->opt_in.wish;
    return wish == Wish::kEnabled || wish == Wish::kRequired;
  }
  return false;
}

std::string NamespaceOf(const std::string& key) {
  return key.substr(0, key.find('/'));
}

}  // namespace

class RootBundles::Namespaces final : public kube::ObjectSink {
 public:
  explicit Namespaces(std::set<std::string>* opted_in) : all_(opted_in) {}
  void Put(base::Json object) override {
    const std::string name = kube::KeyOf(object);
    if (OptsIn(object)) {
      all_->insert(name);
    } else {
      all_->erase(name);
    }
  }
  void Remove(const std::string& key) override { all_->erase(key); }
  void Synced(const absl::flat_hash_set<std::string>& keys) override {
    std::erase_if(*all_,
                  [&](const auto& name) { return !keys.contains(name); });
  }

 private:
  std::set<std::string>* const all_;
};

class RootBundles::ConfigMaps final : public kube::ObjectSink {
 public:
  explicit ConfigMaps(std::map<std::string, Known>* known) : known_(known) {}
  void Put(base::Json object) override {
    const base::Json& metadata = base::GetMember(object, "metadata");
    (*known_)[NamespaceOf(kube::KeyOf(object))] = {
        base::GetString(base::GetMember(metadata, "labels"), kManagedBy) ==
            kManager,
        base::GetString(base::GetMember(object, "data"), kKey),
        base::GetString(metadata, "uid")};
  }
  void Remove(const std::string& key) override {
    known_->erase(NamespaceOf(key));
  }
  void Synced(const absl::flat_hash_set<std::string>& keys) override {
    std::set<std::string> there;
    for (const std::string& key : keys) there.insert(NamespaceOf(key));
    std::erase_if(*known_,
                  [&](const auto& one) { return !there.contains(one.first); });
  }

 private:
  std::map<std::string, Known>* const known_;
};

RootBundles::RootBundles(io::Loop& loop, kube::HttpClient* client,
                         Options options, std::function<double()> random)
    : options_(std::move(options)),
      client_(client),
      random_(std::move(random)),
      soon_(loop, [this] { Update(); }),
      tick_(loop,
            [this] {
              Update();
              tick_.Set(kTick);
            }),
      config_maps_(std::make_unique<ConfigMaps>(&known_)) {
  const auto follow = [&](const kube::Resource& resource,
                          kube::ObjectSink* sink) {
    watches_.push_back(std::make_unique<kube::ResourceWatch>(
        loop, client_, resource, sink, random_, [this] {
          // A burst of changes is one; and from in there nothing can be asked.
          if (!soon_.pending()) soon_.Set(kSettle);
        }));
  };
  const std::string of_one =
      base::StrCat("/api/v1/namespaces/", options_.place.name_space);
  follow({.kind = "ConfigMap",
          .paths = {base::StrCat(options_.namespaces ? "/api/v1" : of_one,
                                 "/configmaps")},
          .field_selector = "metadata.name=" + options_.place.name},
         config_maps_.get());
  if (options_.namespaces) {
    namespaces_ = std::make_unique<Namespaces>(&opted_in_);
    follow({.kind = "Namespace", .paths = {"/api/v1/namespaces"}},
           namespaces_.get());
  }
  for (const auto& watch : watches_) watch->Start();
  tick_.Set(kTick);
}

RootBundles::~RootBundles() = default;

void RootBundles::Set(std::string roots_pem) {
  if (roots_ == roots_pem) return;
  roots_ = std::move(roots_pem);
  Update();
}

bool RootBundles::published() const {
  return IsSynced() && !roots_.empty() && asked_.empty() && Amiss().empty();
}

// ---- what is to be done ----

bool RootBundles::IsSynced() const {
  return std::all_of(watches_.begin(), watches_.end(),
                     [](const auto& watch) { return watch->state().synced(); });
}

bool RootBundles::KnowsConfigMaps() const {
  return watches_.front()->state().synced();
}

bool RootBundles::IsWanted(const std::string& name_space) const {
  return name_space == options_.place.name_space ||
         opted_in_.contains(name_space);
}

bool RootBundles::NeedsWrite(const std::string& name_space) const {
  const auto known = known_.find(name_space);
  if (known == known_.end()) return true;
  const bool ours =
      known->second.ours || name_space == options_.place.name_space;
  return ours && known->second.roots != roots_;
}

bool RootBundles::AwaitsOthers(const std::string& name_space,
                               absl::Time now) const {
  return name_space == options_.place.name_space &&
         !known_.contains(name_space) &&
         now - missing_since_ < options_.patience;
}

bool RootBundles::NeedsRemoval(const std::string& name_space) const {
  const auto known = known_.find(name_space);
  return options_.namespaces && known != known_.end() && known->second.ours &&
         !IsWanted(name_space);
}

std::vector<std::string> RootBundles::Amiss() const {
  std::vector<std::string> amiss;
  const std::string& own = options_.place.name_space;
  if (NeedsWrite(own)) amiss.push_back(own);
  if (!IsSynced()) return amiss;
  for (const std::string& name : opted_in_) {
    if (name != own && NeedsWrite(name)) amiss.push_back(name);
  }
  for (const auto& [name, known] : known_) {
    if (NeedsRemoval(name)) amiss.push_back(name);
  }
  return amiss;
}

void RootBundles::Update() {
  LogProblems();
  // What was not told of yet may be there.
  if (roots_.empty() || !KnowsConfigMaps()) return;
  const absl::Time now = absl::Now();
  if (known_.contains(options_.place.name_space)) {
    missing_since_ = absl::InfiniteFuture();
  } else {
    missing_since_ = std::min(missing_since_, now);
  }
  std::erase_if(failed_, [&](const auto& one) {
    return !IsWanted(one.first) && !known_.contains(one.first);
  });
  for (const std::string& name : opted_in_) LogForeign(name);
  for (const std::string& name : Amiss()) {
    if (asked_.size() >= kAtOnce) return;
    const auto failed = failed_.find(name);
    if (asked_.contains(name) || AwaitsOthers(name, now) ||
        (failed != failed_.end() && now < failed->second.next)) {
      continue;
    }
    asked_.insert(name);
    if (NeedsRemoval(name)) {
      Remove(name);
    } else {
      Write(name);
    }
  }
}

void RootBundles::LogProblems() {
  std::string problem;
  for (const auto& watch : watches_) {
    if (problem.empty()) problem = watch->state().problem();
  }
  if (problem == logged_) return;
  if (!problem.empty()) {
    base::LogWarn("where roots are wanted is not known",
                  {{"problem", problem}});
  }
  logged_ = std::move(problem);
}

void RootBundles::LogForeign(const std::string& name_space) {
  const auto known = known_.find(name_space);
  const bool foreign = known != known_.end() && !known->second.ours &&
                       name_space != options_.place.name_space;
  if (!foreign) {
    foreign_.erase(name_space);
  } else if (foreign_.insert(name_space).second) {
    base::LogWarn(
        "roots not published, the ConfigMap is somebody else's",
        {{"configmap", base::StrCat(name_space, "/", options_.place.name)},
         {"without", base::StrCat("label ", kManagedBy, "=", kManager)}});
  }
}

// ---- doing it ----

std::string RootBundles::TargetOf(const std::string& name_space) const {
  return base::StrCat("/api/v1/namespaces/", name_space, "/configmaps/",
                      options_.place.name);
}

void RootBundles::Write(const std::string& name_space) {
  base::Json metadata = {{"name", options_.place.name},
                         {"namespace", name_space}};
  const bool own = name_space == options_.place.name_space;
  // That of the agents is whoever's made it.
  if (!own) metadata["labels"] = {{kManagedBy, kManager}};
  const base::Json body = {{"apiVersion", "v1"},
                           {"kind", "ConfigMap"},
                           {"metadata", metadata},
                           {"data", {{kKey, roots_}}}};
  // By force only over what is ours: another one that comes to be in this very
  // moment is a conflict.
  const bool force = own || known_.contains(name_space);
  client_->Ask(
      {.method = "PATCH",
       .target = base::StrCat(TargetOf(name_space), "?fieldManager=", kManager,
                              force ? "&force=true" : ""),
       .body = body.dump(),
       .content_type = "application/apply-patch+yaml",
       .deadline = kDeadline},
      [this, name_space, roots = roots_, alive = std::weak_ptr<bool>(alive_)](
          const kube::HttpClient::Answer& answer) {
        if (!alive.expired()) OnAnswer(name_space, roots, answer);
      });
}

void RootBundles::Remove(const std::string& name_space) {
  const base::Json body = {
      {"apiVersion", "v1"},
      {"kind", "DeleteOptions"},
      {"preconditions", {{"uid", known_[name_space].uid}}}};
  client_->Ask({.method = "DELETE",
                .target = TargetOf(name_space),
                .body = body.dump(),
                .content_type = "application/json",
                .deadline = kDeadline},
               [this, name_space, alive = std::weak_ptr<bool>(alive_)](
                   const kube::HttpClient::Answer& answer) {
                 if (!alive.expired()) OnAnswer(name_space, "", answer);
               });
}

// `written`: what was to be there; empty: nothing.
void RootBundles::OnAnswer(const std::string& name_space,
                           const std::string& written,
                           const kube::HttpClient::Answer& answer) {
  asked_.erase(name_space);
  const bool answered = answer.transport.ok();
  const std::string title = base::StrCat(name_space, "/", options_.place.name);
  if (answered && (answer.status == 200 || answer.status == 201)) {
    failed_.erase(name_space);
    told_.clear();
    // The watch tells of it later.
    if (written.empty()) {
      known_.erase(name_space);
    } else {
      Known& known = known_[name_space];
      known.ours = name_space != options_.place.name_space;
      known.roots = written;
    }
    base::LogInfo(written.empty() ? "roots removed" : "roots published",
                  {{"configmap", title}});
    return Update();
  }
  Failed& failed = failed_[name_space];
  failed.next = absl::Now() + failed.back_off.Next(absl::Now(), random_());
  // Gone by itself, or with its namespace: the watch tells.
  if (answered && written.empty() && answer.status == 404) return;
  const auto status = base::ParseJson(answer.body);
  const std::string why =
      !answered ? std::string(answer.transport.message())
                : base::StrCat(
                      "HTTP ", answer.status, " ",
                      status.ok() ? base::GetString(*status, "message") : "");
  if (why != told_) {
    base::LogWarn(written.empty() ? "roots not removed" : "roots not published",
                  {{"configmap", title}, {"reason", why}});
  }
  told_ = why;
}

}  // namespace nodeward::ca
