// SPDX-License-Identifier: Apache-2.0
#include "agent/pod_starts.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "capture/netns.h"
#include "discovery/field.h"

namespace nodeward::agent {
namespace {

using base::StrCat;
using cni::Answer;
using Kind = cni::Answer::Kind;

// How often it is looked whether a pod is captured by now.
constexpr absl::Duration kLookEvery = absl::Milliseconds(20);

Answer Refused(std::string reason) {
  return {Kind::kRefused, std::move(reason)};
}

// The cookie of a namespace that can be a pod's.
base::StatusOr<uint64_t> CookieOf(const std::string& path) {
  NODEWARD_ASSIGN(const auto home, capture::Netns::Own());
  NODEWARD_ASSIGN(const auto netns, capture::Netns::Open(path));
  if (netns->cookie() != home->cookie()) return netns->cookie();
  return absl::InvalidArgumentError(
      StrCat("network namespace ", path, " is the node's own"));
}

}  // namespace

PodStarts::PodStarts(io::Loop& loop, Sight sight)
    : loop_(loop), sight_(std::move(sight)), look_(loop, [this] { Look(); }) {}

void PodStarts::Ask(const cni::Question& question, Reply reply) {
  if (open_) return reply({Kind::kOutside, "nodeward leaves this node"});
  if (!discovery::IsDnsName(question.name_space) ||
      !discovery::IsDnsName(question.pod)) {
    return reply(Refused("its name is none of Kubernetes"));
  }
  const auto cookie = CookieOf(question.netns);
  if (!cookie.ok()) {
    return reply(Refused(std::string(cookie.status().message())));
  }
  const absl::Duration patience =
      question.starts ? sight_.patience : absl::ZeroDuration();
  pending_.emplace(next_++, Pending{.question = question,
                                    .reply = std::move(reply),
                                    .cookie = *cookie,
                                    .deadline = loop_.now() + patience,
                                    .api = Api::kNotAsked,
                                    .api_reason = ""});
  if (question.starts && !question.uid.empty()) {
    sight_.tell(question.uid, {question.netns, question.ips});
  }
  Look();
}

void PodStarts::Open() {
  open_ = true;
  Look();
}

// Of all the cluster's pods only a few are this node's.
void PodStarts::FindOwnPods() {
  const model::SnapshotPtr steered = sight_.steered();
  if (steered == steered_) return;
  steered_ = steered;
  own_.clear();
  if (steered == nullptr) return;
  for (const auto& workload : steered->workloads) {
    if (*workload->node == sight_.node) own_[workload->uid] = workload.get();
  }
}

void PodStarts::Look() {
  FindOwnPods();
  const auto pods = sight_.pods();
  std::vector<std::pair<uint64_t, Answer>> done;
  for (auto& [id, pending] : pending_) {
    auto answer = Judge(id, pending, pods);
    if (answer.has_value()) done.emplace_back(id, *std::move(answer));
  }
  for (const auto& [id, answer] : done) Finish(id, answer);
  if (!pending_.empty()) return look_.Set(kLookEvery);
  // Nobody waits: the snapshot need not live on.
  steered_ = nullptr;
  own_.clear();
}

void PodStarts::Finish(uint64_t id, const Answer& answer) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  const Pending pending = std::move(found->second);
  pending_.erase(found);
  if (answer.kind == Kind::kRefused || answer.kind == Kind::kUnsure) {
    base::LogWarn("a pod is not let start",
                  {{"pod", pending.question.QualifiedName()},
                   {"uid", pending.question.uid},
                   {"reason", answer.reason}});
  }
  pending.reply(answer);
}

std::optional<Answer> PodStarts::Judge(
    uint64_t id, Pending& pending,
    const std::vector<capture::PodStatus>& pods) {
  if (open_) return Answer{Kind::kOutside, "nodeward leaves this node"};
  for (const capture::PodStatus& other : pods) {
    if (other.netns_cookie == pending.cookie &&
        other.uid != pending.question.uid &&
        other.state == capture::PodState::kEnrolled) {
      return Refused(StrCat("its network namespace is that of pod ",
                            other.name_space, "/", other.name));
    }
  }
  const auto own = own_.find(pending.question.uid);
  const model::Workload* const workload =
      own == own_.end() ? nullptr : own->second;
  auto answer = workload != nullptr && workload->opted_in
                    ? JudgeMember(pending, *workload, pods)
                    : JudgeStranger(id, pending, workload);
  if (answer.has_value() || pending.api == Api::kAsked ||
      loop_.now() < pending.deadline) {
    return answer;
  }
  return Refused(
      StrCat("it is of the mesh and not captured: ", pending.waits_for));
}

std::optional<Answer> PodStarts::JudgeMember(
    Pending& pending, const model::Workload& workload,
    const std::vector<capture::PodStatus>& pods) const {
  pending.waits_for = StrCat(model::MembershipText(workload.membership), ": ",
                             *workload.membership_reason);
  for (const capture::PodStatus& pod : pods) {
    if (pod.uid != pending.question.uid) continue;
    if (pod.state == capture::PodState::kEnrolled &&
        pod.netns_cookie == pending.cookie) {
      return Answer{Kind::kCaptured, pod.reason};
    }
    pending.waits_for = StrCat(capture::PodStateText(pod.state),
                               pod.reason.empty() ? "" : ": ", pod.reason);
  }
  return std::nullopt;
}

// Of a pod that is not known, or known not to be of the mesh. The watches may
// be behind the API server, so that is asked.
std::optional<Answer> PodStarts::JudgeStranger(
    uint64_t id, Pending& pending, const model::Workload* workload) {
  const cni::Question& question = pending.question;
  if (!question.starts && workload != nullptr) {
    return Answer{Kind::kOutside, workload->membership_reason};
  }
  switch (pending.api) {
    case Api::kNotAsked:
      pending.api = Api::kAsked;
      sight_.look_up(question.name_space, question.pod,
                     [this, id, alive = std::weak_ptr<bool>(alive_)](
                         const kube::PodObjects& objects) {
                       if (!alive.expired()) OnObjects(id, objects);
                     });
      return std::nullopt;
    case Api::kAsked:
    case Api::kInMesh:
      return std::nullopt;
    case Api::kSilent:
      break;
  }
  if (workload != nullptr && sight_.knows_namespace(question.name_space)) {
    return Answer{Kind::kOutside, workload->membership_reason};
  }
  return Answer{Kind::kUnsure, pending.api_reason};
}

void PodStarts::OnObjects(uint64_t id, const kube::PodObjects& objects) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  Pending& pending = found->second;
  const cni::Sighting sighting{objects.pod_status, objects.pod,
                               objects.namespace_status, objects.name_space};
  const cni::Decision decision =
      objects.transport.ok()
          ? cni::Decide(sighting, pending.question.uid, sight_.node)
          : cni::Decision{cni::Decision::Kind::kUnknown,
                          std::string(objects.transport.message())};
  switch (decision.kind) {
    case cni::Decision::Kind::kOutside:
      return Finish(id, {Kind::kOutside, decision.reason});
    case cni::Decision::Kind::kNotHere:
      return Finish(id, Refused(decision.reason));
    case cni::Decision::Kind::kInMesh:
      pending.api = Api::kInMesh;
      break;
    case cni::Decision::Kind::kUnknown:
      pending.api = Api::kSilent;
      pending.api_reason = decision.reason;
      break;
  }
  Look();
}

}  // namespace nodeward::agent
