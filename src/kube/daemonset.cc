// SPDX-License-Identifier: Apache-2.0
#include "kube/daemonset.h"

#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

namespace nodeward::kube {
namespace {

constexpr int kTimes = 2;
constexpr absl::Duration kApart = absl::Milliseconds(500);
// SIGTERM leaves half a minute for everything.
constexpr absl::Duration kDeadline = absl::Seconds(5);

std::string TargetOf(const std::string& name) {
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return "";
  return base::StrCat("/apis/apps/v1/namespaces/", name.substr(0, slash),
                      "/daemonsets/", name.substr(slash + 1));
}

bool IsLeaving(const base::Json& object) {
  return !base::GetString(base::GetMember(object, "metadata"),
                          "deletionTimestamp")
              .empty();
}

bool SaysDeleted(const HttpClient::Answer& answer) {
  if (!answer.transport.ok()) return false;
  const auto object = base::ParseJson(answer.body);
  if (!object.ok()) return false;
  if (answer.status == 404) {
    // The API server's own word, not that of something in between.
    return base::GetString(*object, "kind") == "Status" &&
           base::GetString(*object, "reason") == "NotFound";
  }
  return answer.status == 200 && IsLeaving(*object);
}

}  // namespace

DaemonSet::DaemonSet(io::Loop& loop, HttpClient* client, std::string name)
    : loop_(loop),
      client_(client),
      name_(std::move(name)),
      target_(TargetOf(name_)),
      again_(loop, [this] { Ask(1); }) {}

DaemonSet::~DaemonSet() = default;

void DaemonSet::Watch(const std::function<double()>& random) {
  if (target_.empty()) return;
  const size_t slash = target_.rfind('/');
  watch_ = std::make_unique<ResourceWatch>(
      loop_, client_,
      Resource{.kind = "DaemonSet",
               .paths = {target_.substr(0, slash)},
               .field_selector = "metadata.name=" + target_.substr(slash + 1)},
      static_cast<ObjectSink*>(this), random, [] {});
  watch_->Start();
}

void DaemonSet::Put(base::Json object) {
  seen_ = true;
  deleted_ = IsLeaving(object);
}

void DaemonSet::Remove(const std::string& key) { deleted_ |= key == name_; }

void DaemonSet::Synced(const absl::flat_hash_set<std::string>& keys) {
  deleted_ |= seen_ && !keys.contains(name_);
}

void DaemonSet::IsDeleted(std::function<void(bool)> done) {
  done_ = std::move(done);
  if (target_.empty()) return std::exchange(done_, nullptr)(false);
  Ask(kTimes);
}

void DaemonSet::Ask(int left) {
  client_->Ask({.target = target_, .deadline = kDeadline},
               [this, left, alive = std::weak_ptr<bool>(alive_)](
                   const HttpClient::Answer& answer) {
                 if (alive.expired()) return;
                 const bool said = SaysDeleted(answer);
                 const bool deleted =
                     said || (deleted_ && answer.status != 200);
                 if (!said || left == 1) {
                   base::LogInfo("asked for our own DaemonSet",
                                 {{"status", base::StrCat(answer.status)},
                                  {"uninstalled", deleted ? "yes" : "no"}});
                   return std::exchange(done_, nullptr)(deleted);
                 }
                 again_.Set(kApart);
               });
}

}  // namespace nodeward::kube
