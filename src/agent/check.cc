// SPDX-License-Identifier: Apache-2.0
//
// What the agent tells `nodeward certs` and `nodeward check`.
#include "identity/check.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "agent/agent.h"
#include "base/text.h"
#include "kernel/features.h"
#include "policy/network_policy.h"

namespace nodeward::agent {
namespace {

using Result = model::Check::Result;

void Add(model::CheckCategory* category, std::string description,
         const std::string& error, Result bad, std::string hint) {
  model::Check line{std::move(description)};
  if (!error.empty()) {
    line.result = bad;
    line.error = error;
    line.hint = std::move(hint);
  }
  category->checks.push_back(std::move(line));
}

void List(std::string* text, const std::string& item) {
  base::StrAppend(text, "\n\t* ", item);
}

// "* full/deny-all selects full/httpbin-1, full/sleep-2 and 7 more".
std::string ListBlocked(const std::vector<policy::BlockedPods>& all) {
  constexpr size_t kShown = 3;
  std::string list;
  for (const policy::BlockedPods& each : all) {
    std::string item = base::StrCat(each.policy->QualifiedName(), " selects");
    const size_t shown = std::min(each.pods.size(), kShown);
    for (size_t i = 0; i < shown; ++i) {
      base::StrAppend(&item, i == 0 ? " " : ", ", each.pods[i]);
    }
    if (each.pods.size() > shown) {
      base::StrAppend(&item, " and ", each.pods.size() - shown, " more");
    }
    List(&list, item);
  }
  return list;
}

std::string Headed(std::string_view heading, const std::string& list) {
  return list.empty() ? "" : base::StrCat(heading, list);
}

}  // namespace

std::vector<admin::CertificateReport> Agent::Certificates() const {
  std::vector<admin::CertificateReport> all;
  for (const auto& each : renewer_->status()) {
    admin::CertificateReport report;
    report.identity = each.identity.ToSpiffe();
    report.state = identity::CertificateStateText(each.state);
    report.serial = each.serial;
    report.issuer = each.issuer;
    report.not_before = each.not_before;
    report.not_after = each.not_after;
    report.next_renewal = each.next_attempt;
    report.error = each.error;
    if (const auto credential = credentials_.Find(each.identity)) {
      for (const pki::Certificate& one : credential->chain) {
        report.chain_pem += one.ToPem();
      }
    }
    all.push_back(std::move(report));
  }
  return all;
}

model::CheckCategory Agent::CheckKernel() const {
  model::CheckCategory category{"nodeward-kernel", {}};
  const kernel::Features features = kernel::ProbeFeatures();
  // The agent would not have started otherwise.
  Add(&category, "kernel has what the hooks need", "", Result::kError, "");
  Add(&category, "connect() to a known dead end fails at once",
      features.set_retval ? "" : "it succeeds first and is reset then",
      Result::kWarning, "Linux 5.18 or newer has it");
  return category;
}

model::CheckCategory Agent::CheckCapture() const {
  model::CheckCategory category{"nodeward-capture", {}};
  std::string lost;
  std::string unexempt;
  for (const capture::PodStatus& pod : enroller_->status()) {
    const std::string name = base::StrCat(pod.name_space, "/", pod.name);
    if (pod.state == capture::PodState::kPending ||
        pod.state == capture::PodState::kFailed) {
      List(&lost, base::StrCat(name, " is ", capture::PodStateText(pod.state),
                               pod.reason.empty() ? "" : ": ", pod.reason));
    } else if (pod.state == capture::PodState::kEnrolled &&
               !pod.probe_exemption) {
      List(&unexempt, name);
    }
  }
  Add(&category, "pods that opted in are enrolled",
      Headed("Some pods are not:", lost), Result::kError,
      "nodeward status tells the reason of each");
  const auto kubelet = enroller_->kubelet();
  Add(&category, "kubelet is found, so that its probes pass",
      kubelet.found ? "" : kubelet.reason, Result::kWarning,
      "set kubelet.cgroup where there is no kubelet on its port");
  Add(&category, "pods have a veth at which probes are told apart",
      Headed("Probes of some pods are refused:", unexempt), Result::kWarning,
      "netkit and pod interfaces in the cloud have none");
  if (kubernetes_ != nullptr) {
    Add(&category, "pods of the mesh start only when they are captured",
        plugin_ == nullptr ? "no CNI plugin is installed" : plugin_->problem(),
        Result::kWarning, "set cni.confDir (in the chart: cni.enabled)");
  }
  return category;
}

model::CheckCategory Agent::CheckAgent() const {
  model::CheckCategory category{"nodeward-agent", {}};
  std::string unready;
  for (const std::string& reason : UnreadyReasons()) List(&unready, reason);
  Add(&category, "agent is ready", Headed("It is not:", unready),
      Result::kError, "nodeward status tells more");
  std::string problems;
  if (latest_ != nullptr) {
    for (const model::Problem& problem : latest_->problems) {
      List(&problems, problem.ToString());
    }
  }
  Add(&category, "objects of the source are all understood",
      Headed("Some are not:", problems), Result::kWarning,
      "correct them; what they concern is closed where status says so");
  return category;
}

// Warnings: not every cluster network enforces NetworkPolicies.
model::CheckCategory Agent::CheckNetwork() const {
  using policy::Way;
  model::CheckCategory category{"nodeward-network", {}};
  const auto blocked = [&](Way way) {
    return latest_ == nullptr ? ""
                              : ListBlocked(policy::FindBlockedPods(
                                    *latest_, config_.node, way));
  };
  Add(&category, "NetworkPolicies let tunnels in to pods of the mesh",
      Headed("Some do not allow ingress at TCP 15008:", blocked(Way::kIn)),
      Result::kWarning,
      "allow it there, or in another NetworkPolicy of those "
      "pods");
  Add(&category, "NetworkPolicies let tunnels out of pods of the mesh",
      Headed("Some do not allow egress to TCP 15008:", blocked(Way::kOut)),
      Result::kWarning,
      "allow it there, or in another NetworkPolicy of those "
      "pods");
  return category;
}

std::vector<model::CheckCategory> Agent::Check() const {
  identity::CheckInput input;
  input.bundle = credentials_.bundle();
  input.trust_problems = trust_->problems();
  input.credentials = credentials_.All();
  input.certificates = renewer_->status();
  input.now = absl::Now();
  return {CheckKernel(),
          CheckCapture(),
          CheckNetwork(),
          CheckAgent(),
          identity::CheckIdentity(input),
          identity::CheckDataPlane(input)};
}

}  // namespace nodeward::agent
