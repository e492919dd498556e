// SPDX-License-Identifier: Apache-2.0
#include "ca/token_review.h"

#include <algorithm>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

namespace nodeward::ca {
namespace {

constexpr char kPath[] = "/apis/authentication.k8s.io/v1/tokenreviews";
constexpr char kRefused[] = "authentication token could not be authenticated";
constexpr char kClaims[] = "authentication.kubernetes.io/";
// Longer ones are no tokens: an API server's own limit of a header is 1 MiB.
constexpr size_t kMaxToken = 16 * 1024;

base::Status Refuse(std::string_view why) {
  return absl::UnauthenticatedError(base::StrCat(kRefused, ": ", why));
}

// Claims are lists of values; more than one value proves nothing.
std::string Claim(const base::Json& user, std::string_view name) {
  const base::Json& values = base::GetMember(base::GetMember(user, "extra"),
                                             base::StrCat(kClaims, name));
  if (!values.is_array() || values.size() != 1 || !values[0].is_string()) {
    return "";
  }
  return values[0].get<std::string>();
}

bool HasOne(const base::Json& named, const std::vector<std::string>& wanted) {
  if (!named.is_array()) return false;
  return std::any_of(
      named.begin(), named.end(), [&wanted](const base::Json& name) {
        return name.is_string() &&
               std::find(wanted.begin(), wanted.end(),
                         name.get<std::string>()) != wanted.end();
      });
}

}  // namespace

std::string MakeTokenReview(const std::string& token,
                            const std::vector<std::string>& audiences) {
  const base::Json review = {
      {"apiVersion", "authentication.k8s.io/v1"},
      {"kind", "TokenReview"},
      {"spec", {{"token", token}, {"audiences", audiences}}}};
  // A token of bytes that are no UTF-8 must not abort us.
  return review.dump(-1, ' ', false, base::Json::error_handler_t::replace);
}

base::StatusOr<Caller> ReadTokenReview(
    std::string_view json, const std::vector<std::string>& audiences) {
  const auto review = base::ParseJson(json);
  if (!review.ok()) {
    return absl::UnavailableError(base::StrCat(
        "read TokenReview: ", std::string(review.status().message())));
  }
  const base::Json& status = base::GetMember(*review, "status");
  if (!status.is_object()) {
    return absl::UnavailableError("read TokenReview: no status in the answer");
  }
  const base::Json& error = base::GetMember(status, "error");
  if (!base::GetBool(status, "authenticated") ||
      (!error.is_null() && error != "")) {
    return Refuse("the API server does not know it");
  }
  if (!HasOne(base::GetMember(status, "audiences"), audiences)) {
    return Refuse("it is not for us (the wrong audience)");
  }
  const base::Json& user = base::GetMember(status, "user");
  NODEWARD_ASSIGN(Caller caller,
                  ParseUsername(base::GetString(user, "username")));
  caller.pod_name = Claim(user, "pod-name");
  caller.pod_uid = Claim(user, "pod-uid");
  caller.node_name = Claim(user, "node-name");
  return caller;
}

TokenReview::TokenReview(Options options, std::string server, Post post)
    : options_(std::move(options)),
      server_(std::move(server)),
      post_(std::move(post)) {}

std::string TokenReview::Description() const {
  return base::StrCat("TokenReview by ", server_);
}

base::StatusOr<Caller> TokenReview::Authenticate(const std::string& token) {
  if (token.size() > kMaxToken) return Refuse("it is too long");
  const pki::Digest digest = pki::Sha256(token);
  const absl::Time now = options_.clock();
  {
    base::MutexLock lock(&mutex_);
    const auto found = kept_.find(digest);
    if (found != kept_.end() && now < found->second.until &&
        found->second.until - now <= options_.keep) {
      return found->second.caller;
    }
  }
  base::StatusOr<Caller> caller = Ask(token);
  if (caller.ok()) Keep(digest, *caller, now);
  return caller;
}

base::StatusOr<Caller> TokenReview::Ask(const std::string& token) const {
  const auto answer = post_(kPath, MakeTokenReview(token, options_.audiences));
  base::Status failed;
  if (!answer.ok()) {
    failed = answer.status();
  } else if (answer->first == 401 || answer->first == 403) {
    failed = absl::UnavailableError(
        base::StrCat("HTTP ", answer->first,
                     " (may our ServiceAccount create tokenreviews? bind it to "
                     "system:auth-delegator)"));
  } else if (answer->first != 200 && answer->first != 201) {
    failed = absl::UnavailableError(base::StrCat("HTTP ", answer->first));
  } else {
    return ReadTokenReview(answer->second, options_.audiences);
  }
  base::LogWarn(
      "token not reviewed",
      {{"server", server_}, {"reason", std::string(failed.message())}});
  // Which server, and what it thinks of us, is no stranger's business.
  return absl::UnavailableError(
      "authentication token could not be reviewed (try again)");
}

void TokenReview::Keep(const pki::Digest& digest, const Caller& caller,
                       absl::Time now) {
  base::MutexLock lock(&mutex_);
  if (kept_.size() >= options_.max_kept) {
    for (auto it = kept_.begin(); it != kept_.end();) {
      if (it->second.until <= now) {
        kept_.erase(it++);
      } else {
        ++it;
      }
    }
    if (kept_.size() >= options_.max_kept) return;  // asked again next time
  }
  kept_.insert_or_assign(digest, Kept{caller, now + options_.keep});
}

}  // namespace nodeward::ca
