// SPDX-License-Identifier: Apache-2.0
#include "ca/issuer_watch.h"

#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "ca/file_state.h"

namespace nodeward::ca {
namespace {

void LogWarnings(const pki::Authority& authority) {
  for (const std::string& warning : authority.warnings()) {
    base::LogWarn("issuer", {{"what", warning}});
  }
}

// The same wherever the same issuer is taken.
std::string SubjectOf(const pki::Authority& authority) {
  std::string subject = authority.signer().Sha256Hex();
  for (const pki::Certificate& root : authority.roots()) {
    base::StrAppend(&subject, " ", root.Sha256Hex());
  }
  return subject;
}

}  // namespace

base::StatusOr<std::unique_ptr<IssuerWatch>> IssuerWatch::Start(
    io::Loop& loop, Options options, EventSink events) {
  std::unique_ptr<IssuerWatch> watch(
      new IssuerWatch(loop, std::move(options), std::move(events)));
  // Before reading: what changes meanwhile is seen at the next look.
  watch->loaded_ = watch->last_look_ = watch->Look();
  std::string reason;
  NODEWARD_ASSIGN(std::shared_ptr<const pki::Authority> first,
                  watch->Load(&reason));
  LogWarnings(*first);
  {
    base::MutexLock lock(&watch->mutex_);
    watch->current_ = std::move(first);
  }
  watch->timer_.Set(watch->options_.look);
  return watch;
}

IssuerWatch::IssuerWatch(io::Loop& loop, Options options, EventSink events)
    : options_(std::move(options)),
      events_(std::move(events)),
      timer_(loop, [this] { OnTimer(); }) {}

std::shared_ptr<const pki::Authority> IssuerWatch::current() const {
  base::MutexLock lock(&mutex_);
  return current_;
}

base::StatusOr<std::shared_ptr<const pki::Authority>> IssuerWatch::Load(
    std::string* reason) const {
  *reason = kIssuerUpdateSkipped;
  NODEWARD_ASSIGN(pki::AuthorityParts parts, pki::ReadIssuer(options_.place));
  *reason = kIssuerValidationFailed;
  const std::string source = parts.source;
  auto authority = pki::Authority::Create(
      std::move(parts), options_.trust_domain, options_.clock());
  if (!authority.ok()) return base::Annotate(authority.status(), source);
  return authority;
}

std::string IssuerWatch::Look() const {
  return FileState(options_.place.path) + FileState(options_.place.roots);
}

void IssuerWatch::OnTimer() {
  timer_.Set(options_.look);
  std::string seen = Look();
  const bool resting = seen == last_look_;
  last_look_ = std::move(seen);
  if (!resting) return;
  const bool changed = last_look_ != loaded_;
  const absl::Time now = options_.clock();
  const bool again = !refusal_.empty() &&
                     (now - refused_at_ >= options_.retry || now < refused_at_);
  if (!changed && !again) return;
  loaded_ = last_look_;
  Update();
}

void IssuerWatch::Update() {
  std::string reason;
  auto loaded = Load(&reason);
  if (!loaded.ok()) {
    return Refuse(reason, std::string(loaded.status().message()));
  }
  refusal_.clear();
  {
    base::MutexLock lock(&mutex_);
    if ((*loaded)->SameAs(*current_)) return;
    current_ = *loaded;
  }
  LogWarnings(**loaded);
  const pki::Certificate& signer = (*loaded)->signer();
  base::LogInfo("issuer in use",
                {{"source", (*loaded)->source()},
                 {"subject", signer.Subject()},
                 {"serial", signer.SerialHex()},
                 {"not_after", absl::FormatTime((*loaded)->not_after(),
                                                absl::UTCTimeZone())}});
  events_(
      {false, kIssuerUpdated, "Updated identity issuer", SubjectOf(**loaded)});
}

void IssuerWatch::Refuse(const std::string& reason, const std::string& why) {
  refused_at_ = options_.clock();
  if (refusal_ == reason + why) return;  // told already
  refusal_ = reason + why;
  events_({true, reason,
           reason == kIssuerUpdateSkipped
               ? base::StrCat("Skipping issuer update as certs could not be "
                              "read from disk: ",
                              why)
               : base::StrCat("Skipping issuer update as it does not verify: ",
                              why)});
}

}  // namespace nodeward::ca
