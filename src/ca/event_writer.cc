// SPDX-License-Identifier: Apache-2.0
#include "ca/event_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "pki/digest.h"

namespace nodeward::ca {
namespace {

constexpr char kController[] = "nodeward.io/ca";
constexpr size_t kMaxPending = 32;
constexpr size_t kMaxNote = 1024;
constexpr size_t kMaxInstance = 128;
constexpr absl::Duration kDeadline = absl::Seconds(5);

// The same in all CAs that see the same.
std::string NameOf(const std::string& deployment, const Event& event) {
  const pki::Digest digest = pki::Sha256(
      base::StrCat(event.reason, "\n", event.note, "\n", event.subject));
  return base::StrCat(
      deployment, ".",
      absl::BytesToHexString(absl::string_view(
          reinterpret_cast<const char*>(digest.data()), digest.size() / 2)));
}

// No more than so many bytes, and no half characters.
std::string Shortened(std::string text, size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) {
    --most;
  }
  text.resize(most);
  return text;
}

std::string MessageOf(const kube::HttpClient::Answer& answer) {
  if (!answer.transport.ok()) return std::string(answer.transport.message());
  const auto status = base::ParseJson(answer.body);
  return base::StrCat("HTTP ", answer.status, " ",
                      status.ok() ? base::GetString(*status, "message") : "");
}

// An answer that the same request will never have another one to.
bool IsFinal(int status) {
  return status >= 400 && status < 500 && status != 401 && status != 408 &&
         status != 429;
}

}  // namespace

EventWriter::EventWriter(io::Loop& loop, kube::HttpClient* client,
                         Options options, std::function<double()> random)
    : options_(std::move(options)),
      client_(client),
      random_(std::move(random)),
      tokens_(options_.burst),
      filled_(absl::Now()),
      again_(loop, [this] { Work(); }) {}

void EventWriter::SetLeads(bool leads) {
  DropOld(absl::Now());
  leads_ = leads;
  Work();
}

void EventWriter::Tell(const Event& event) {
  const absl::Time now = absl::Now();
  DropOld(now);
  if (pending_.size() >= kMaxPending || !TakeToken(now)) {
    base::LogWarn("event not written, there are too many",
                  {{"reason", event.reason}});
    return;
  }
  pending_.push_back({event, now});
  Work();
}

bool EventWriter::TakeToken(absl::Time now) {
  const double more = absl::FDivDuration(
      std::max(now - filled_, absl::ZeroDuration()), options_.refill);
  tokens_ = std::min<double>(options_.burst, tokens_ + more);
  filled_ = now;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

void EventWriter::DropOld(absl::Time now) {
  const absl::Duration most = leads_ ? options_.patience : options_.keep;
  while (!asking_ && !pending_.empty() && now - pending_.front().at > most) {
    if (leads_) {
      base::LogWarn("event not written",
                    {{"reason", pending_.front().event.reason}});
    }
    pending_.pop_front();
  }
}

void EventWriter::Work() {
  DropOld(absl::Now());
  if (!leads_ || asking_ || pending_.empty() || again_.pending()) return;
  asking_ = true;
  if (!uid_.has_value()) return AskForDeployment();
  Write(pending_.front());
}

// `kubectl describe` finds an object's Events by its UID.
void EventWriter::AskForDeployment() {
  client_->Ask({.target = base::StrCat(
                    "/apis/apps/v1/namespaces/", options_.deployment.name_space,
                    "/deployments/", options_.deployment.name),
                .deadline = kDeadline},
               [this, alive = std::weak_ptr<bool>(alive_)](
                   const kube::HttpClient::Answer& answer) {
                 if (!alive.expired()) OnDeployment(answer);
               });
}

void EventWriter::OnDeployment(const kube::HttpClient::Answer& answer) {
  asking_ = false;
  if (answer.transport.ok() && answer.status == 200) {
    const auto object = base::ParseJson(answer.body);
    uid_ = object.ok()
               ? base::GetString(base::GetMember(*object, "metadata"), "uid")
               : "";
  } else if (answer.transport.ok() && IsFinal(answer.status)) {
    // An Event without it is better than none.
    uid_ = "";
    base::LogWarn("our own Deployment cannot be read",
                  {{"deployment", options_.deployment.ToString()},
                   {"reason", MessageOf(answer)}});
  } else {
    return TryLater(MessageOf(answer));
  }
  Work();
}

std::string EventWriter::Body(const Pending& pending) const {
  const Event& event = pending.event;
  base::Json regarding = {{"apiVersion", "apps/v1"},
                          {"kind", "Deployment"},
                          {"namespace", options_.deployment.name_space},
                          {"name", options_.deployment.name}};
  if (!uid_->empty()) regarding["uid"] = *uid_;
  const base::Json body = {
      {"apiVersion", "events.k8s.io/v1"},
      {"kind", "Event"},
      {"metadata",
       {{"name", NameOf(options_.deployment.name, event)},
        {"namespace", options_.deployment.name_space}}},
      {"eventTime", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", pending.at,
                                     absl::UTCTimeZone())},
      {"reportingController", kController},
      {"reportingInstance", Shortened(options_.instance, kMaxInstance)},
      {"action", "Reload"},
      {"reason", event.reason},
      {"regarding", regarding},
      {"note", Shortened(event.note, kMaxNote)},
      {"type", event.warning ? "Warning" : "Normal"}};
  return body.dump(-1, ' ', false, base::Json::error_handler_t::replace);
}

void EventWriter::Write(const Pending& pending) {
  client_->Ask(
      {.method = "POST",
       .target = base::StrCat("/apis/events.k8s.io/v1/namespaces/",
                              options_.deployment.name_space, "/events"),
       .body = Body(pending),
       .content_type = "application/json",
       .deadline = kDeadline},
      [this, alive = std::weak_ptr<bool>(alive_)](
          const kube::HttpClient::Answer& answer) {
        if (!alive.expired()) OnWritten(answer);
      });
}

void EventWriter::OnWritten(const kube::HttpClient::Answer& answer) {
  asking_ = false;
  const bool answered = answer.transport.ok();
  // 409: it is there.
  const bool written =
      answered && (answer.status == 201 || answer.status == 409);
  if (!written && !(answered && IsFinal(answer.status))) {
    return TryLater(MessageOf(answer));
  }
  if (!written) {
    base::LogWarn("event not written",
                  {{"reason", pending_.front().event.reason},
                   {"problem", MessageOf(answer)}});
  }
  told_.clear();
  pending_.pop_front();
  Work();
}

void EventWriter::TryLater(const std::string& why) {
  if (why != told_) {
    base::LogWarn("events are written later", {{"problem", why}});
  }
  told_ = why;
  again_.Set(back_off_.Next(absl::Now(), random_()));
}

}  // namespace nodeward::ca
