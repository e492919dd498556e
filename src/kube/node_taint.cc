// SPDX-License-Identifier: Apache-2.0
#include "kube/node_taint.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/text.h"

namespace nodeward::kube {
namespace {

// JSON Patch (RFC 6902) that removes the taints of that key if they still are
// where they were seen; null: there are none.
base::Json PatchFor(const base::Json& node, const std::string& key) {
  const base::Json& taints =
      base::GetMember(base::GetMember(node, "spec"), "taints");
  if (!taints.is_array()) return nullptr;
  base::Json patch;
  // From the last one, so that those before keep their places.
  for (size_t i = taints.size(); i-- > 0;) {
    if (base::GetString(taints[i], "key") != key) continue;
    const std::string path = base::StrCat("/spec/taints/", i);
    patch.push_back({{"op", "test"}, {"path", path}, {"value", taints[i]}});
    patch.push_back({{"op", "remove"}, {"path", path}});
  }
  return patch;
}

}  // namespace

NodeTaint::NodeTaint(io::Loop& loop, HttpClient* client, std::string node,
                     std::string key, std::function<double()> random)
    : loop_(loop),
      client_(client),
      node_(std::move(node)),
      key_(std::move(key)),
      random_(std::move(random)),
      again_(loop, [this] { Work(); }) {}

NodeTaint::~NodeTaint() = default;

void NodeTaint::Watch() {
  if (key_.empty()) return;
  watch_ = std::make_unique<ResourceWatch>(
      loop_, client_,
      Resource{.kind = "Node",
               .paths = {"/api/v1/nodes"},
               .field_selector = "metadata.name=" + node_},
      static_cast<ObjectSink*>(this), random_, [] {});
  watch_->Start();
}

void NodeTaint::SetReady(bool ready) {
  ready_ = ready;
  if (!again_.pending()) Work();
}

void NodeTaint::Put(base::Json object) {
  patch_ = PatchFor(object, key_);
  if (patch_.is_null()) problem_.clear();
  // From inside of an answer nothing can be asked.
  if (!again_.pending()) again_.Set(absl::ZeroDuration());
}

void NodeTaint::Remove(const std::string&) { patch_ = nullptr; }

void NodeTaint::Synced(const absl::flat_hash_set<std::string>&) {}

void NodeTaint::Work() {
  if (!ready_ || asking_ || patch_.is_null()) return;
  asking_ = true;
  client_->Ask({.method = "PATCH",
                .target = base::StrCat("/api/v1/nodes/", node_,
                                       "?fieldManager=nodeward"),
                .body = patch_.dump(-1, ' ', false,
                                    base::Json::error_handler_t::replace),
                .content_type = "application/json-patch+json"},
               [this, alive = std::weak_ptr<bool>(alive_)](
                   const HttpClient::Answer& answer) {
                 if (!alive.expired()) OnAnswer(answer);
               });
}

void NodeTaint::OnAnswer(const HttpClient::Answer& answer) {
  asking_ = false;
  if (answer.transport.ok() && answer.status == 200) {
    const auto node = base::ParseJson(answer.body);
    patch_ = node.ok() ? PatchFor(*node, key_) : nullptr;
    problem_.clear();
    base::LogInfo("taint removed", {{"node", node_}, {"taint", key_}});
    return;
  }
  again_.Set(back_off_.Next(absl::Now(), random_()));
  // It has changed meanwhile: the watch tells how.
  if (answer.status == 422 || answer.status == 409) return;
  const auto status = base::ParseJson(answer.body);
  problem_ = base::StrCat(
      "remove taint ", key_, " of node ", node_, ": ",
      !answer.transport.ok()
          ? std::string(answer.transport.message())
          : base::StrCat(
                "HTTP ", answer.status, " ",
                status.ok() ? base::GetString(*status, "message") : ""));
}

}  // namespace nodeward::kube
