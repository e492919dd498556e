// SPDX-License-Identifier: Apache-2.0
#include "kube/reflector.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "kube/escaped.h"

namespace nodeward::kube {
namespace {

constexpr size_t kMaxLine = 16 << 20;
constexpr size_t kMaxRefusal = 64 << 10;
constexpr absl::Duration kListDeadline = absl::Minutes(1);
constexpr absl::Duration kShortestWatch = absl::Minutes(5);
constexpr absl::Duration kGrace = absl::Seconds(30);
// A watch that ends sooner and has told nothing is as good as a failure.
constexpr absl::Duration kTooShort = absl::Seconds(1);
// A kind that was not served may come to be; one that was may be missing for a
// moment while the API server starts.
constexpr absl::Duration kLookAgain = absl::Seconds(15);
constexpr absl::Duration kMissAgain = absl::Seconds(1);
constexpr int kMissedForGood = 3;

std::string VersionOf(const base::Json& object) {
  return base::GetString(base::GetMember(object, "metadata"),
                         "resourceVersion");
}

bool EndsInitialEvents(const base::Json& object) {
  return base::GetString(base::GetMember(base::GetMember(object, "metadata"),
                                         "annotations"),
                         "k8s.io/initial-events-end") == "true";
}

// Of a Status object: what it says, and whether the server lags behind the
// version that was asked for.
std::string ReasonOf(const base::Json& status) {
  std::string message = base::GetString(status, "message");
  return message.empty() ? base::GetString(status, "reason") : message;
}

bool IsTooNew(const std::string& reason) {
  return reason.find("Too large resource version") != std::string::npos;
}

}  // namespace

std::string KeyOf(const base::Json& object) {
  const base::Json& metadata = base::GetMember(object, "metadata");
  const std::string name_space = base::GetString(metadata, "namespace");
  const std::string name = base::GetString(metadata, "name");
  return name_space.empty() ? name : base::StrCat(name_space, "/", name);
}

// ---- asking ----

Reflector::Step Reflector::Begin(absl::Time now) {
  return Ask(absl::ZeroDuration(), now);
}

Reflector::Step Reflector::Ask(absl::Duration delay, absl::Time now) {
  line_.clear();
  list_.reset();
  malformed_ = false;
  events_ = 0;
  error_.reset();
  asked_ = now + delay;
  if (mode_ != Mode::kWatch && continue_.empty()) seen_.clear();
  if (mode_ == Mode::kList) {
    return {delay, Target({}), kListDeadline};
  }
  const absl::Duration timeout =
      absl::Floor(kShortestWatch * (1 + random_()), absl::Seconds(1));
  return {delay, Target(timeout), timeout + kGrace, true};
}

std::string Reflector::Target(absl::Duration timeout) const {
  std::string target = resource_.paths[path_];
  const std::string seconds = base::StrCat(absl::ToInt64Seconds(timeout));
  switch (mode_) {
    case Mode::kList:
      target += "?limit=500";
      if (!continue_.empty()) {
        target += "&continue=" + Escaped(continue_);
      } else if (!minimum_.empty()) {
        target += "&resourceVersionMatch=NotOlderThan&resourceVersion=" +
                  Escaped(minimum_);
      }
      break;
    case Mode::kStream:
      target +=
          "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
          "&allowWatchBookmarks=true&timeoutSeconds=" +
          seconds;
      if (!minimum_.empty()) {
        target += "&resourceVersion=" + Escaped(minimum_);
      }
      break;
    case Mode::kWatch:
      target += "?watch=1&allowWatchBookmarks=true&timeoutSeconds=" + seconds +
                "&resourceVersion=" + Escaped(version_);
      break;
  }
  if (!resource_.field_selector.empty()) {
    target += "&fieldSelector=" + Escaped(resource_.field_selector);
  }
  return target;
}

// ---- what arrives ----

void Reflector::OnHead(int status) {
  // A watch that is granted is silent until something changes.
  if (status == 200 && mode_ == Mode::kWatch) problem_.clear();
}

bool Reflector::OnBody(int status, std::string_view bytes) {
  if (status != 200) {
    line_.append(
        bytes.substr(0, kMaxRefusal - std::min(kMaxRefusal, line_.size())));
    return true;
  }
  if (mode_ == Mode::kList) {
    if (!list_.has_value()) {
      list_.emplace([this](std::string_view text) { OnItem(text); });
    }
    malformed_ |= !list_->Feed(bytes);
    return !malformed_;
  }
  while (!malformed_ && !error_.has_value()) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) break;
    if (line_.empty()) {
      OnLine(bytes.substr(0, end));
    } else {
      line_.append(bytes.substr(0, end));
      OnLine(std::exchange(line_, {}));
    }
    bytes.remove_prefix(end + 1);
  }
  line_.append(bytes);
  malformed_ |= line_.size() > kMaxLine;
  return !malformed_ && !error_.has_value();
}

void Reflector::OnItem(std::string_view text) {
  auto object = base::ParseJson(text);
  if (!object.ok()) {
    malformed_ = true;
    return;
  }
  seen_.insert(KeyOf(*object));
  sink_->Put(*std::move(object));
}

void Reflector::OnLine(std::string_view line) {
  if (line.empty()) return;
  auto event = base::ParseJson(line);
  const std::string type =
      event.ok() ? base::GetString(*event, "type") : std::string();
  if (type.empty() || !base::GetMember(*event, "object").is_object()) {
    malformed_ = true;
    return;
  }
  base::Json& object = (*event)["object"];
  if (type == "ERROR") {
    error_ = Refusal{static_cast<int>(base::GetInt(object, "code")),
                     ReasonOf(object)};
    return;
  }
  ++events_;
  if (type == "BOOKMARK") return OnBookmark(object);
  const std::string key = KeyOf(object);
  const std::string version = VersionOf(object);
  if (type == "DELETED") {
    seen_.erase(key);
    sink_->Remove(key);
  } else if (type == "ADDED" || type == "MODIFIED") {
    if (mode_ == Mode::kStream) seen_.insert(key);
    sink_->Put(std::move(object));
  }
  // While everything is being told of, a version is no place to go on from.
  if (mode_ == Mode::kWatch && !version.empty()) version_ = version;
}

void Reflector::OnBookmark(const base::Json& object) {
  const std::string version = VersionOf(object);
  if (mode_ == Mode::kStream) {
    if (!EndsInitialEvents(object) || version.empty()) return;
    mode_ = Mode::kWatch;
    version_ = version;
    FinishSync();
  } else if (!version.empty()) {
    version_ = version;
  }
}

void Reflector::FinishSync() {
  problem_.clear();
  missing_ = 0;
  minimum_ = version_;
  synced_ = true;
  sink_->Synced(seen_);
  seen_ = {};
}

// ---- what comes next ----

Reflector::Step Reflector::OnEnd(const End& end) {
  if (end.status == 0) {
    Step step = Retry(std::string(end.transport.message()), end);
    step.unanswered = unanswered_ = true;
    return step;
  }
  // It is back: what it refuses while it starts it may grant soon.
  if (std::exchange(unanswered_, false)) back_off_ = BackOff();
  if (end.status == 200) return AfterSuccess(end);
  std::string reason;
  const auto status = base::ParseJson(line_);
  if (status.ok()) reason = ReasonOf(*status);
  return AfterRefusal(end.status, reason, end);
}

Reflector::Step Reflector::AfterSuccess(const End& end) {
  if (error_.has_value()) {
    const Refusal refusal = *error_;
    return AfterRefusal(refusal.code, refusal.reason, end);
  }
  if (malformed_) return Retry("the answer is not what it should be", end);
  if (!end.transport.ok()) {
    return Retry(std::string(end.transport.message()), end);
  }
  if (mode_ == Mode::kList) return AfterPage(end);
  if (mode_ == Mode::kStream) {
    return Retry("the stream ended before everything was told", end);
  }
  missing_ = 0;
  if (events_ == 0 && end.now - asked_ < kTooShort) {
    return Retry("the watch ended at once", end);
  }
  problem_.clear();
  return Ask(absl::ZeroDuration(), end.now);
}

Reflector::Step Reflector::AfterPage(const End& end) {
  const auto list = list_.has_value()
                        ? list_->Finish()
                        : base::StatusOr<base::Json>(
                              absl::InvalidArgumentError("the list is empty"));
  if (!list.ok()) return Retry(std::string(list.status().message()), end);
  const base::Json& metadata = base::GetMember(*list, "metadata");
  continue_ = base::GetString(metadata, "continue");
  if (continue_.empty()) {
    version_ = base::GetString(metadata, "resourceVersion");
    if (version_.empty()) return Retry("the list has no version", end);
    mode_ = Mode::kWatch;
    FinishSync();
  }
  return Ask(absl::ZeroDuration(), end.now);
}

Reflector::Step Reflector::AfterRefusal(int status, const std::string& reason,
                                        const End& end) {
  if (status == 410) return AfterExpiry(end);
  if (status == 404) return AfterMissing(end);
  if (IsTooNew(reason)) {
    // This server has not caught up with the one that we asked before.
    StartOver("");
    return Retry(reason, end);
  }
  // 500: the server has it, its storage (etcd before 3.4.31) lacks what it
  // takes.
  if (mode_ == Mode::kStream &&
      (status == 400 || status == 422 || status == 500)) {
    streams_ = false;
    StartOver(minimum_);
    return Ask(absl::ZeroDuration(), end.now);
  }
  return Retry(base::StrCat("the API server answers ", status,
                            reason.empty() ? "" : ": ", reason),
               end);
}

// A forgotten version. What is no older than the last one known is asked for,
// and if even that is refused, whatever the server has.
Reflector::Step Reflector::AfterExpiry(const End& end) {
  if (mode_ == Mode::kWatch) {
    StartOver(version_);
    return Ask(absl::ZeroDuration(), end.now);
  }
  StartOver("");
  return Retry("the version asked for is forgotten (410)", end);
}

void Reflector::StartOver(const std::string& version) {
  minimum_ = version;
  continue_.clear();
  mode_ = streams_ ? Mode::kStream : Mode::kList;
}

Reflector::Step Reflector::AfterMissing(const End& end) {
  StartOver("");
  if (++path_ < resource_.paths.size()) {
    return Ask(absl::ZeroDuration(), end.now);
  }
  path_ = 0;
  if (!resource_.optional) {
    return Retry("the API server does not serve it (404)", end);
  }
  const bool was_served = synced_ && missing_ < kMissedForGood;
  ++missing_;
  if (was_served && missing_ < kMissedForGood) {
    return Ask(kMissAgain * (1 + random_()), end.now);
  }
  if (was_served || !synced_) {
    seen_.clear();
    version_.clear();
    const int missing = std::max(missing_, kMissedForGood);
    FinishSync();
    missing_ = missing;
  }
  // It was asked and has answered, whatever came between.
  problem_.clear();
  return Ask(kLookAgain * (1 + random_()), end.now);
}

Reflector::Step Reflector::Retry(const std::string& why, const End& end) {
  problem_ = base::StrCat("follow ", resource_.paths[path_], ": ", why);
  const absl::Duration pause = back_off_.Next(end.now, random_());
  return Ask(std::max(pause, end.retry_after), end.now);
}

}  // namespace nodeward::kube
