// SPDX-License-Identifier: Apache-2.0
#include "kube/marks.h"

#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

namespace nodeward::kube {

Marks::Marks(HttpClient* client, std::function<double()> random)
    : client_(client), random_(std::move(random)) {}

void Marks::Update(const std::map<std::string, Mirror::OwnPod>& pods,
                   const std::map<std::string, bool>& wanted) {
  const auto is_gone = [&](const auto& entry) {
    return !pods.contains(entry.first);
  };
  std::erase_if(failed_, is_gone);
  std::erase_if(taken_, is_gone);
  for (const auto& [uid, pod] : pods) {
    const auto taken = taken_.find(uid);
    if (taken != taken_.end() && taken->second == pod.marked) {
      taken_.erase(uid);
    }
    const auto wish = wanted.find(uid);
    if (wish == wanted.end() || asked_.contains(uid)) continue;
    const auto known = taken_.find(uid);
    const bool marked = known != taken_.end() ? known->second : pod.marked;
    if (marked == wish->second) continue;
    const auto failed = failed_.find(uid);
    if (failed != failed_.end() && absl::Now() < failed->second.next) continue;
    Patch(uid, pod, wish->second);
  }
}

void Marks::Patch(const std::string& uid, const Mirror::OwnPod& pod,
                  bool enrolled) {
  const base::Json value = enrolled ? base::Json(kMarked) : base::Json(nullptr);
  // Another pod of the same name has another UID, which makes it a conflict.
  const base::Json body = {
      {"metadata",
       {{"uid", uid}, {"annotations", {{kMark, value}, {kOurMark, value}}}}}};
  asked_.insert(uid);
  client_->Ask(
      {.method = "PATCH",
       .target = base::StrCat("/api/v1/namespaces/", pod.name_space, "/pods/",
                              pod.name, "/status?fieldManager=nodeward"),
       .body = body.dump(),
       .content_type = "application/merge-patch+json"},
      [this, uid, pod, enrolled,
       alive = std::weak_ptr<bool>(alive_)](const HttpClient::Answer& answer) {
        if (!alive.expired()) OnAnswer(uid, pod, enrolled, answer);
      });
}

void Marks::OnAnswer(const std::string& uid, const Mirror::OwnPod& pod,
                     bool enrolled, const HttpClient::Answer& answer) {
  asked_.erase(uid);
  if (answer.transport.ok() && answer.status == 200) {
    failed_.erase(uid);
    taken_[uid] = enrolled;
    problem_.clear();
    return;
  }
  // Gone, or another one by now: the watch tells.
  const bool gone = answer.status == 404 || answer.status == 409;
  Failed& failed = failed_[uid];
  failed.next = absl::Now() + failed.back_off.Next(absl::Now(), random_());
  if (gone) return;
  const auto status = base::ParseJson(answer.body);
  const std::string reason = !answer.transport.ok()
                                 ? std::string(answer.transport.message())
                             : status.ok() ? base::GetString(*status, "message")
                                           : std::string();
  const std::string problem = base::StrCat(
      "mark pod ", pod.name_space, "/", pod.name, " as ",
      enrolled ? "" : "not ",
      "enrolled: ", answer.status == 0 ? "" : base::StrCat(answer.status, " "),
      reason,
      answer.status == 403 ? " (the agent needs patch on pods/status)" : "");
  if (problem != problem_) {
    base::LogWarn("other nodes do not learn of a pod's enrolment",
                  {{"problem", problem}});
  }
  problem_ = problem;
}

}  // namespace nodeward::kube
