// SPDX-License-Identifier: Apache-2.0
#include "discovery/opt_in.h"

#include "base/text.h"

namespace nodeward::discovery {
namespace {

using model::Membership;
using Wish = OptIn::Wish;

constexpr std::string_view kOurLabel = "nodeward.io/mesh";
constexpr std::string_view kIstioLabel = "istio.io/dataplane-mode";
constexpr std::string_view kOutboundLabel = "nodeward.io/outbound";

Wish OurWish(const std::string& value, bool is_namespace) {
  if (value == "enabled") return Wish::kEnabled;
  if (value == "disabled") return Wish::kDisabled;
  if (value == "required" && is_namespace) return Wish::kRequired;
  return Wish::kNone;
}

Wish IstioWish(const std::string& value) {
  if (value == "ambient") return Wish::kEnabled;
  if (value == "none") return Wish::kDisabled;
  return Wish::kNone;
}

struct Decision {
  bool enabled = false;
  std::string reason;
};

Decision DecideLabels(const OptIn& pod, const OptIn* name_space) {
  const Wish wide = name_space == nullptr ? Wish::kNone : name_space->wish;
  if (wide == Wish::kRequired) {
    return {true,
            base::StrCat(
                "namespace label ", *name_space->label,
                pod.wish == Wish::kDisabled
                    ? base::StrCat(", which overrides pod label ", *pod.label)
                    : "")};
  }
  if (pod.wish != Wish::kNone) {
    return {pod.wish == Wish::kEnabled, base::StrCat("pod label ", *pod.label)};
  }
  if (wide != Wish::kNone) {
    return {wide == Wish::kEnabled,
            base::StrCat("namespace label ", *name_space->label)};
  }
  return {false, "no label opts the pod or its namespace in"};
}

}  // namespace

OptIn ReadOptIn(const Field& labels, bool is_namespace) {
  for (const std::string_view key : {kOurLabel, kIstioLabel}) {
    const Field field = labels[key];
    if (!field.is_text()) continue;
    const std::string value = field.Text();
    const bool ours = key == kOurLabel;
    const Wish wish = ours ? OurWish(value, is_namespace) : IstioWish(value);
    if (wish != Wish::kNone) {
      return {wish, base::StrCat(key, "=", value)};
    }
    const std::string_view known = !ours          ? "ambient or none"
                                   : is_namespace ? "enabled, disabled or "
                                                    "required"
                                                  : "enabled or disabled";
    field.Note(base::StrCat("unknown value '", value,
                            "' counts as not set; use ", known));
  }
  return {};
}

bool ReadRequiresMtls(const Field& labels) {
  const Field field = labels[kOutboundLabel];
  if (!field.is_text()) return false;
  if (field.Text() == "require-mtls") return true;
  field.Note(base::StrCat("unknown value '", field.Text(),
                          "' counts as not set; use require-mtls"));
  return false;
}

Enrolment DecideEnrolment(const Pod& pod, const Namespace* name_space) {
  const Decision labels = DecideLabels(
      pod.opt_in, name_space == nullptr ? nullptr : &name_space->opt_in);
  Enrolment enrolment{
      labels.enabled ? Membership::kEnabled : Membership::kNotOptedIn,
      labels.reason, labels.enabled};
  if (pod.host_network) {
    enrolment = {Membership::kHostNetwork,
                 "hostNetwork: it shares the node's network namespace", false};
  } else if (pod.workload->name_space == "kube-system") {
    enrolment = {Membership::kSystem,
                 "namespace kube-system is never in the mesh", false};
  } else if (!pod.sidecar->empty()) {
    enrolment = {Membership::kSidecar, pod.sidecar, false};
  }
  if (enrolment.membership == Membership::kEnabled && pod.awaits_mark) {
    enrolment.membership = Membership::kNotEnrolled;
  }
  if (!pod.ended->empty()) {
    enrolment.membership = Membership::kTerminal;
    enrolment.reason = pod.ended;
  }
  return enrolment;
}

}  // namespace nodeward::discovery
