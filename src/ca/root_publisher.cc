// SPDX-License-Identifier: Apache-2.0
#include "ca/root_publisher.h"

#include <algorithm>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

namespace nodeward::ca {

RootPublisher::RootPublisher(Options options, Patcher patch)
    : options_(std::move(options)),
      patch_(std::move(patch)),
      thread_([this] { Work(); }) {}

RootPublisher::~RootPublisher() {
  {
    base::MutexLock lock(&mutex_);
    stop_ = true;
    changed_.Signal();
  }
  thread_.join();
}

void RootPublisher::Set(std::string roots_pem) {
  base::MutexLock lock(&mutex_);
  if (wanted_ == roots_pem) return;
  wanted_ = std::move(roots_pem);
  changed_.Signal();
}

bool RootPublisher::published() const {
  base::MutexLock lock(&mutex_);
  return !wanted_.empty() && written_ == wanted_;
}

void RootPublisher::Work() {
  absl::Duration retry = options_.first_retry;
  std::string told;
  while (true) {
    std::string roots;
    {
      base::MutexLock lock(&mutex_);
      while (wanted_.empty() && !stop_) changed_.Wait(&mutex_);
      if (stop_) return;
      roots = wanted_;
    }
    const base::Status written = Write(roots);
    const std::string problem(written.message());
    if (problem != told && !problem.empty()) {
      base::LogWarn(
          "roots not published",
          {{"configmap", options_.place.ToString()}, {"reason", problem}});
    }
    told = problem;
    base::MutexLock lock(&mutex_);
    if (written.ok() && written_ != roots) {
      base::LogInfo("roots published",
                    {{"configmap", options_.place.ToString()}});
    }
    // Of one that failed it is not known what stands there.
    written_ = written.ok() ? roots : "";
    const absl::Duration wait = written.ok() ? options_.again : retry;
    retry = written.ok() ? options_.first_retry
                         : std::min(retry * 2, options_.last_retry);
    if (!stop_ && wanted_ == roots) changed_.WaitWithTimeout(&mutex_, wait);
  }
}

base::Status RootPublisher::Write(const std::string& roots) const {
  const ObjectName& place = options_.place;
  NODEWARD_ASSIGN(
      const auto answer,
      patch_(base::StrCat("/api/v1/namespaces/", place.name_space,
                          "/configmaps/", place.name),
             base::Json({{"data", {{"root-cert.pem", roots}}}}).dump()));
  if (answer.first == 200) return base::OkStatus();
  std::string_view remedy;
  if (answer.first == 404) remedy = " (make it; it may be empty)";
  if (answer.first == 401 || answer.first == 403) {
    remedy = " (may our ServiceAccount patch this ConfigMap?)";
  }
  return absl::UnavailableError(
      base::StrCat("patch ConfigMap: HTTP ", answer.first, remedy));
}

}  // namespace nodeward::ca
