// SPDX-License-Identifier: Apache-2.0
#include "cni/decision.h"

#include "base/text.h"
#include "discovery/field.h"
#include "discovery/metadata.h"
#include "discovery/opt_in.h"
#include "discovery/pod.h"

namespace nodeward::cni {
namespace {

using base::Json;
using base::StrCat;
using Kind = Decision::Kind;

// On the mirror of a static pod, which the runtime knows by this.
constexpr char kStaticHash[] = "kubernetes.io/config.hash";

discovery::Namespace ReadNamespace(const Json& object) {
  discovery::Findings ignored;
  const discovery::Field root(object, "", &ignored);
  return {ReadMetadata(root).name,
          ReadOptIn(root["metadata"]["labels"], /*is_namespace=*/true), false};
}

// A pod that the API server does not have: one that is gone, or a static one
// before its mirror is made, which has no labels that we could know.
Decision WithoutPod(const discovery::Namespace& name_space) {
  using Wish = discovery::OptIn::Wish;
  if (name_space.opt_in.wish == Wish::kEnabled ||
      name_space.opt_in.wish == Wish::kRequired) {
    return {Kind::kNotHere, "the API server has no such pod"};
  }
  return {Kind::kOutside, "its namespace is not opted in"};
}

}  // namespace

Decision Decide(const Sighting& sighting, const std::string& uid,
                const std::string& node) {
  if (sighting.namespace_status == 404) {
    return {Kind::kNotHere, "the API server has no such namespace"};
  }
  if (sighting.namespace_status != 200) {
    return {Kind::kUnknown,
            StrCat("the API server answers ", sighting.namespace_status,
                   " when asked for its namespace")};
  }
  const discovery::Namespace name_space = ReadNamespace(sighting.name_space);
  if (sighting.pod_status == 404) return WithoutPod(name_space);
  if (sighting.pod_status != 200) {
    return {Kind::kUnknown, StrCat("the API server answers ",
                                   sighting.pod_status, " when asked for it")};
  }
  discovery::Findings ignored;
  const discovery::Field root(sighting.pod, "", &ignored);
  const discovery::Metadata metadata = ReadMetadata(root);
  const auto hash = metadata.annotations.find(kStaticHash);
  const bool is_static =
      hash != metadata.annotations.end() && hash->second == uid;
  if (!uid.empty() && uid != metadata.uid && !is_static) {
    return {Kind::kNotHere, StrCat("the API server has another pod of that "
                                   "name, with UID ",
                                   metadata.uid)};
  }
  const discovery::Pod pod = ReadPod(root, metadata, "");
  if (!node.empty() && *pod.workload->node != node) {
    return {Kind::kNotHere, StrCat("the API server has it on node '",
                                   *pod.workload->node, "', not on ", node)};
  }
  const auto enrolment = DecideEnrolment(pod, &name_space);
  if (!enrolment.opted_in) return {Kind::kOutside, enrolment.reason};
  if (!is_static) return {Kind::kInMesh, enrolment.reason};
  return {Kind::kNotHere,
          "a static pod cannot be in the mesh: give it the label "
          "nodeward.io/mesh=disabled or another namespace"};
}

std::string TextOf(const KnownNamespaces& namespaces) {
  Json all = Json::object();
  for (const auto& [name, opted_in] : namespaces) all[name] = opted_in;
  return Json{{"optedIn", all}}.dump(2) + "\n";
}

base::StatusOr<KnownNamespaces> ReadKnownNamespaces(std::string_view text) {
  NODEWARD_ASSIGN(const Json json, base::ParseJson(text));
  const Json& all = base::GetMember(json, "optedIn");
  if (!all.is_object()) {
    return absl::InvalidArgumentError("there is no object optedIn");
  }
  KnownNamespaces namespaces;
  for (const auto& [name, opted_in] : all.items()) {
    // What is no truth value closes.
    namespaces[name] = !opted_in.is_boolean() || opted_in.get<bool>();
  }
  return namespaces;
}

}  // namespace nodeward::cni
