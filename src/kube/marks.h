// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "kube/back_off.h"
#include "kube/http_client.h"
#include "kube/mirror.h"

namespace nodeward::kube {

// Marks this node's pods in the API: enrolled or not (mirror.h tells how).
// Takes nothing away that it, or an agent of ours before it, has not put there.
class Marks {
 public:
  // `client` outlives this; `random` gives 0 to 1.
  Marks(HttpClient* client, std::function<double()> random);

  // Brings the marks in line with `wanted` (UID -> enrolled); `pods` are those
  // of the API. Of pods that `wanted` does not name nothing is changed. To be
  // called again, whatever comes of it, when either has changed, and from time
  // to time.
  void Update(const std::map<std::string, Mirror::OwnPod>& pods,
              const std::map<std::string, bool>& wanted);
  // No request is under way.
  bool idle() const { return asked_.empty(); }
  // The last failure; empty: none since.
  const std::string& problem() const { return problem_; }

 private:
  void Patch(const std::string& uid, const Mirror::OwnPod& pod, bool enrolled);
  void OnAnswer(const std::string& uid, const Mirror::OwnPod& pod,
                bool enrolled, const HttpClient::Answer& answer);

  HttpClient* const client_;
  const std::function<double()> random_;
  std::set<std::string> asked_;  // by UID
  // What the API server has taken but perhaps not told us of yet.
  std::map<std::string, bool> taken_;
  struct Failed {
    BackOff back_off;
    absl::Time next;
  };
  std::map<std::string, Failed> failed_;
  std::string problem_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::kube
