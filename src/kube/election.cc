// SPDX-License-Identifier: Apache-2.0
#include "kube/election.h"

#include <utility>

#include "base/text.h"

namespace nodeward::kube {
namespace {

// client-go's: candidates do not come all at once.
constexpr double kJitter = 1.2;
constexpr char kKind[] = "application/json";

std::string FolderOf(const std::string& place) {
  return base::StrCat("/apis/coordination.k8s.io/v1/namespaces/",
                      place.substr(0, place.find('/')), "/leases");
}

std::string MicroTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

}  // namespace

Election::Election(Options options, std::function<double()> random)
    : options_(std::move(options)),
      random_(std::move(random)),
      folder_(FolderOf(options_.place)),
      name_(options_.place.substr(options_.place.find('/') + 1)) {}

// ---- asking ----

Election::Step Election::Begin() const { return Read(absl::ZeroDuration()); }

Election::Step Election::Read(absl::Duration delay) const {
  return {delay,
          {.target = base::StrCat(folder_, "/", name_),
           .deadline = options_.renew / 2}};
}

// Takes or renews what was seen, if it still is as it was seen.
Election::Step Election::Write(absl::Duration delay) {
  const bool fresh = lease_.is_null();
  asked_ = fresh ? Asked::kCreate : Asked::kUpdate;
  base::Json lease = lease_;
  if (fresh) {
    lease = {{"apiVersion", "coordination.k8s.io/v1"},
             {"kind", "Lease"},
             {"metadata", {{"name", name_}, {"labels", options_.labels}}}};
  }
  Fill(options_.identity, options_.lease, options_.clock() + delay,
       &lease["spec"]);
  return {
      delay,
      {.method = fresh ? "POST" : "PUT",
       .target = fresh ? folder_ : base::StrCat(folder_, "/", name_),
       .body = lease.dump(-1, ' ', false, base::Json::error_handler_t::replace),
       .content_type = kKind,
       .deadline = options_.renew / 2}};
}

void Election::Fill(std::string_view holder, absl::Duration lease,
                    absl::Time at, base::Json* spec) const {
  if (!spec->is_object()) *spec = base::Json::object();
  const std::string now = MicroTime(at);
  const std::string last = base::GetString(*spec, "holderIdentity");
  if (last != holder || base::GetString(*spec, "acquireTime").empty()) {
    (*spec)["acquireTime"] = now;
  }
  const int64_t transitions = base::GetInt(*spec, "leaseTransitions");
  const bool changes = !lease_.is_null() && last != holder && !holder.empty();
  (*spec)["holderIdentity"] = std::string(holder);
  (*spec)["leaseDurationSeconds"] = absl::ToInt64Seconds(lease);
  (*spec)["renewTime"] = now;
  (*spec)["leaseTransitions"] = transitions + (changes ? 1 : 0);
}

HttpClient::Request Election::Resign() {
  leads_ = false;
  base::Json lease = lease_;
  Fill("", absl::Seconds(1), options_.clock(), &lease["spec"]);
  return {
      .method = "PUT",
      .target = base::StrCat(folder_, "/", name_),
      .body = lease.dump(-1, ' ', false, base::Json::error_handler_t::replace),
      .content_type = kKind,
      .deadline = absl::Seconds(1)};
}

// ---- what is answered ----

void Election::Observe(base::Json lease, absl::Duration now) {
  const base::Json& spec = base::GetMember(lease, "spec");
  std::string seen =
      spec.dump(-1, ' ', false, base::Json::error_handler_t::replace);
  if (lease_.is_null() || seen != seen_) observed_ = now;
  seen_ = std::move(seen);
  holder_ = base::GetString(spec, "holderIdentity");
  lease_ = std::move(lease);
}

bool Election::IsFree(absl::Duration now) const {
  if (holder_.empty() || holder_ == options_.identity) return true;
  const int64_t seconds =
      base::GetInt(base::GetMember(lease_, "spec"), "leaseDurationSeconds",
                   absl::ToInt64Seconds(options_.lease));
  return now - observed_ > absl::Seconds(seconds);
}

Election::Step Election::OnAnswer(const HttpClient::Answer& answer,
                                  absl::Duration now) {
  if (!Leads(now)) leads_ = false;
  const Asked asked = std::exchange(asked_, Asked::kRead);
  const bool good =
      answer.transport.ok() && (answer.status == 200 || answer.status == 201);
  if (asked == Asked::kRead && answer.transport.ok() && answer.status == 404) {
    lease_ = nullptr;
    return Write(absl::ZeroDuration());
  }
  if (!good) return Fail(answer);
  auto lease = base::ParseJson(answer.body);
  if (!lease.ok() || !lease->is_object()) return Fail(answer);
  problem_.clear();
  Observe(*std::move(lease), now);
  if (asked == Asked::kRead) {
    if (holder_ != options_.identity) leads_ = false;
    return IsFree(now) ? Write(absl::ZeroDuration()) : Again();
  }
  leads_ = true;
  renewed_ = sent_;
  return Write(options_.retry);
}

Election::Step Election::Again() {
  return Read(options_.retry * (1 + kJitter * random_()));
}

Election::Step Election::Fail(const HttpClient::Answer& answer) {
  // Somebody was faster, or took it away: that is how it should be.
  const bool raced =
      answer.transport.ok() && (answer.status == 409 || answer.status == 404);
  if (!raced) {
    const auto status = base::ParseJson(answer.body);
    problem_ = base::StrCat(
        "lead by Lease ", options_.place, ": ",
        !answer.transport.ok()
            ? std::string(answer.transport.message())
            : base::StrCat(
                  "HTTP ", answer.status, " ",
                  status.ok() ? base::GetString(*status, "message") : ""),
        answer.status == 403
            ? " (may our ServiceAccount get, create and update it?)"
            : "");
  }
  return leads_ ? Read(options_.retry) : Again();
}

}  // namespace nodeward::kube
