// SPDX-License-Identifier: Apache-2.0
#include "kube/resource_watch.h"

#include <utility>

#include "absl/time/clock.h"

namespace nodeward::kube {

ResourceWatch::ResourceWatch(io::Loop& loop, HttpClient* client,
                             Resource resource, ObjectSink* sink,
                             std::function<double()> random,
                             std::function<void()> changed,
                             std::function<void()> answered)
    : client_(client),
      reflector_(std::move(resource), sink, std::move(random)),
      changed_(std::move(changed)),
      answered_(std::move(answered)),
      timer_(loop, [this] { Send(); }) {}

ResourceWatch::~ResourceWatch() {
  if (request_ != 0) client_->Cancel(request_);
}

void ResourceWatch::Start() { Take(reflector_.Begin(absl::Now())); }

void ResourceWatch::Hurry() {
  if (timer_.pending() && step_.unanswered) timer_.Set(absl::ZeroDuration());
}

void ResourceWatch::Take(const Reflector::Step& step) {
  step_ = step;
  if (step.delay == absl::ZeroDuration()) return Send();
  timer_.Set(step.delay);
}

void ResourceWatch::Send() {
  request_ =
      client_->Send({.target = step_.target, .deadline = step_.deadline}, this);
}

void ResourceWatch::OnHead(int status) {
  reflector_.OnHead(status);
  changed_();
  answered_();
}

bool ResourceWatch::OnBody(int status, std::string_view bytes) {
  const bool more = reflector_.OnBody(status, bytes);
  changed_();
  return more;
}

void ResourceWatch::OnEnd(const HttpClient::End& end) {
  request_ = 0;
  Take(reflector_.OnEnd({.transport = end.transport,
                         .status = end.status,
                         .retry_after = end.retry_after,
                         .now = absl::Now()}));
  changed_();
}

}  // namespace nodeward::kube
