// SPDX-License-Identifier: Apache-2.0
#include "kube/leader.h"

#include <utility>

#include "base/log.h"

namespace nodeward::kube {

Leader::Leader(io::Loop& loop, HttpClient* client, Election::Options options,
               std::function<double()> random,
               std::function<void(bool)> changed)
    : loop_(loop),
      client_(client),
      election_(std::move(options), std::move(random)),
      changed_(std::move(changed)),
      next_(loop, [this] { Send(); }),
      until_(loop, [this] { Update(); }) {}

void Leader::Start() { Take(election_.Begin()); }

void Leader::Take(Election::Step step) {
  step_ = std::move(step);
  if (step_.delay == absl::ZeroDuration()) return Send();
  next_.Set(step_.delay);
}

void Leader::Send() {
  election_.OnSent(loop_.now());
  client_->Ask(step_.request, [this, alive = std::weak_ptr<bool>(alive_)](
                                  const HttpClient::Answer& answer) {
    if (alive.expired() || resigned_) return;
    Election::Step step = election_.OnAnswer(answer, loop_.now());
    Update();
    Take(std::move(step));
  });
}

void Leader::Update() {
  const bool leads = !resigned_ && election_.Leads(loop_.now());
  if (leads) {
    until_.Set(election_.LeadsUntil() - loop_.now());
  } else {
    until_.Cancel();
  }
  if (election_.problem() != logged_) {
    logged_ = election_.problem();
    if (!logged_.empty())
      base::LogWarn("leader election", {{"problem", logged_}});
  }
  if (leads == leads_) return;
  leads_ = leads;
  base::LogInfo(leads ? "leads" : "leads no more",
                {{"leader", election_.holder()}});
  changed_(leads);
}

void Leader::Resign(std::function<void()> done) {
  const bool led = election_.Leads(loop_.now());
  resigned_ = true;
  next_.Cancel();
  Update();
  if (!led) return done();
  // An update that is under way makes this one a conflict, and the Lease runs
  // out by itself.
  client_->Ask(election_.Resign(),
               [done = std::move(done)](const HttpClient::Answer&) { done(); });
}

}  // namespace nodeward::kube
