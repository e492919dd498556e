// SPDX-License-Identifier: Apache-2.0
#include "kube/account_token.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "pki/key.h"

namespace nodeward::kube {
namespace {

// Long enough to outlast a node's reboot.
constexpr int64_t kLifetimeSeconds = 24 * 3600;
// A ServiceAccount that is made anew voids the tokens of the former one.
constexpr absl::Duration kLongest = absl::Hours(1);
constexpr absl::Duration kShortest = absl::Seconds(10);

std::string TargetOf(const std::string& account) {
  const size_t slash = account.find('/');
  return base::StrCat("/api/v1/namespaces/", account.substr(0, slash),
                      "/serviceaccounts/", account.substr(slash + 1), "/token");
}

}  // namespace

AccountToken::AccountToken(io::Loop& loop, HttpClient* client,
                           const std::string& account,
                           std::function<double()> random,
                           std::function<void(const std::string&)> renewed)
    : client_(client),
      account_(account),
      target_(TargetOf(account)),
      random_(std::move(random)),
      renewed_(std::move(renewed)),
      next_(loop, [this] { Ask(); }) {
  Ask();
}

void AccountToken::Ask() {
  const base::Json request = {
      {"apiVersion", "authentication.k8s.io/v1"},
      {"kind", "TokenRequest"},
      {"spec", {{"expirationSeconds", kLifetimeSeconds}}}};
  client_->Ask({.method = "POST",
                .target = target_,
                .body = request.dump(),
                .content_type = "application/json"},
               [this, alive = std::weak_ptr<bool>(alive_)](
                   const HttpClient::Answer& answer) {
                 if (!alive.expired()) OnAnswer(answer);
               });
}

void AccountToken::OnAnswer(const HttpClient::Answer& answer) {
  auto json = base::ParseJson(answer.body);
  if (!json.ok()) json = base::Json();
  const base::Json& status = base::GetMember(*json, "status");
  std::string token = base::GetString(status, "token");
  if (!answer.transport.ok() || answer.status != 201 || token.empty()) {
    problem_ = base::StrCat(
        "ask for a token of ServiceAccount ", account_, ": ",
        answer.transport.ok()
            ? base::StrCat("the API server answers ", answer.status)
            : std::string(answer.transport.message()),
        answer.status == 403
            ? " (the agent needs create on serviceaccounts/token of that name)"
            : "");
    return next_.Set(back_off_.Next(absl::Now(), random_()));
  }
  problem_.clear();
  absl::Time expires;
  absl::Duration half = kShortest;
  if (absl::ParseTime(
          absl::RFC3339_full,
          base::ToAbsl(base::GetString(status, "expirationTimestamp")),
          &expires, nullptr)) {
    half = (expires - absl::Now()) / 2;
  }
  next_.Set(std::clamp(half, kShortest, kLongest));
  renewed_(token);
  pki::Wipe(&token);
}

}  // namespace nodeward::kube
