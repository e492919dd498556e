// SPDX-License-Identifier: Apache-2.0
#include "observe/tap.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace nodeward::observe {

namespace {

size_t TextOf(const TapEvent& event) {
  return event.method.size() + event.authority.size() + event.path.size();
}

}  // namespace

bool TapSubject::Selects(const model::Workload* workload,
                         const model::Service* service) const {
  if (kind == Kind::kService) {
    return service != nullptr && service->name == name &&
           (name_space.empty() || service->name_space == name_space);
  }
  if (workload == nullptr) return false;
  if (!name_space.empty() && workload->name_space != name_space) return false;
  const bool pod = workload->name == name;
  const bool owner = *workload->workload_name == name;
  switch (kind) {
    case Kind::kAll:
      return true;
    case Kind::kPod:
      return pod;
    case Kind::kWorkload:
      return owner;
    case Kind::kEither:
      return pod || owner;
    case Kind::kService:
      break;
  }
  return false;
}

bool Tap::Wants(const Flow& flow) const {
  if (stopped()) return false;
  const model::Service* const service = flow.service.get();
  if (flow.reporter == Reporter::kDestination) {
    return !question_.to.has_value() &&
           question_.of.Selects(flow.destination_workload.get(), service);
  }
  // What is asked for by a service's name is its pods, not who calls it.
  if (question_.of.kind == TapSubject::Kind::kService ||
      !question_.of.Selects(flow.source_workload.get(), nullptr)) {
    return false;
  }
  return !question_.to.has_value() ||
         question_.to->Selects(flow.destination_workload.get(), service);
}

bool Tap::WantsRequest(std::string_view method, std::string_view authority,
                       std::string_view path) const {
  return (question_.method.empty() || method == question_.method) &&
         (question_.authority.empty() || authority == question_.authority) &&
         path.starts_with(question_.path);
}

std::optional<TapId> Tap::Admit(const std::string& pod, absl::Duration now) {
  base::MutexLock lock(&mutex_);
  const double most = question_.max_rps;
  if (!refilled_.has_value()) {
    allowance_ = most;
    refilled_ = now;
  } else if (now > *refilled_) {
    allowance_ = std::min(
        most, allowance_ + most * absl::ToDoubleSeconds(now - *refilled_));
    refilled_ = now;
  }
  if (allowance_ < 1) {
    ++missed_.over_limit;
    return std::nullopt;
  }
  allowance_ -= 1;
  const bool full = pods_.size() >= kMaxPods && !pods_.contains(pod);
  const auto [found, fresh] = pods_.try_emplace(full ? std::string() : pod);
  if (fresh) found->second.base = static_cast<uint32_t>(pods_.size() - 1);
  return TapId{found->second.base, found->second.next++};
}

void Tap::Push(TapEvent event) {
  if (stopped()) return;
  for (std::string* text : {&event.method, &event.authority, &event.path}) {
    if (text->size() > kMaxText) text->resize(kMaxText);
  }
  base::MutexLock lock(&mutex_);
  const size_t text = TextOf(event);
  if (events_.size() >= kMaxQueued || queued_text_ + text > kMaxQueuedText) {
    ++missed_.lost;
    return;
  }
  queued_text_ += text;
  events_.push_back(std::move(event));
}

std::vector<TapEvent> Tap::Take(size_t count) {
  std::vector<TapEvent> taken;
  base::MutexLock lock(&mutex_);
  const size_t some = std::min(count, events_.size());
  const auto end = events_.begin() + static_cast<std::ptrdiff_t>(some);
  taken.assign(std::make_move_iterator(events_.begin()),
               std::make_move_iterator(end));
  events_.erase(events_.begin(), end);
  for (const TapEvent& event : taken) queued_text_ -= TextOf(event);
  return taken;
}

Tap::Missed Tap::missed() const {
  base::MutexLock lock(&mutex_);
  return missed_;
}

base::StatusOr<std::shared_ptr<Tap>> Taps::Start(TapQuestion question) {
  base::MutexLock lock(&mutex_);
  if (taps_.size() >= kMaxTaps) {
    return absl::ResourceExhaustedError(
        base::StrCat("start a tap: ", kMaxTaps,
                     " are running, and no more are served at once; end one"));
  }
  taps_.push_back(std::make_shared<Tap>(std::move(question)));
  running_.store(static_cast<int>(taps_.size()), std::memory_order_relaxed);
  return taps_.back();
}

void Taps::Stop(const std::shared_ptr<Tap>& tap) {
  tap->Stop();
  base::MutexLock lock(&mutex_);
  std::erase(taps_, tap);
  running_.store(static_cast<int>(taps_.size()), std::memory_order_relaxed);
}

std::vector<std::shared_ptr<Tap>> Taps::Watching(const Flow& flow) const {
  std::vector<std::shared_ptr<Tap>> watching;
  base::MutexLock lock(&mutex_);
  for (const auto& tap : taps_) {
    if (tap->Wants(flow)) watching.push_back(tap);
  }
  return watching;
}

}  // namespace nodeward::observe
