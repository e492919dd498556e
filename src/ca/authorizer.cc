// SPDX-License-Identifier: Apache-2.0
#include "ca/authorizer.h"

#include "base/text.h"

namespace nodeward::ca {
namespace {

base::Status Deny(const std::string& message) {
  return absl::PermissionDeniedError(message);
}

base::Status CheckPod(const model::Identity& asked, const std::string& node,
                      const PodDirectory& pods) {
  NODEWARD_ASSIGN(const PodDirectory::Pod pod, pods.OnNode(node, asked));
  if (pod == nullptr) {
    return Deny(base::StrCat("impersonate ", asked.ToSpiffe(),
                             ": no pod with it on node ", node));
  }
  if (!pod->in_mesh()) {
    return Deny(base::StrCat("impersonate ", asked.ToSpiffe(), ": its pod ",
                             pod->QualifiedName(), " on node ", node,
                             " is not in the mesh (",
                             model::MembershipText(pod->membership), ")"));
  }
  return base::OkStatus();
}

}  // namespace

base::StatusOr<model::Identity> Authorizer::Authorize(
    const Caller& caller, const std::string& impersonated,
    const PodDirectory* pods) const {
  const model::Identity own{options_.trust_domain, caller.name_space,
                            caller.service_account};
  if (impersonated.empty()) return own;
  NODEWARD_ASSIGN(const model::Identity asked,
                  model::Identity::ParseSpiffe(impersonated));
  if (asked == own) return own;
  if (!options_.trusted_agents.contains(
          {caller.name_space, caller.service_account})) {
    return Deny(base::StrCat("impersonate ", asked.ToSpiffe(), ": ",
                             caller.Username(), " is not a trusted agent"));
  }
  if (asked.trust_domain != options_.trust_domain) {
    return Deny(base::StrCat("impersonate ", asked.ToSpiffe(),
                             ": the trust domain here is ",
                             options_.trust_domain));
  }
  if (pods == nullptr) {
    return Deny(base::StrCat("impersonate ", asked.ToSpiffe(),
                             ": nothing is known of pods here"));
  }
  base::StatusOr<std::string> node = NodeOf(caller, *pods);
  if (!node.ok()) {
    return base::Annotate(node.status(),
                          base::StrCat("impersonate ", asked.ToSpiffe()));
  }
  NODEWARD_TRY(CheckPod(asked, *node, *pods));
  return asked;
}

base::StatusOr<std::string> Authorizer::NodeOf(const Caller& caller,
                                               const PodDirectory& pods) const {
  if (!caller.node_name.empty()) return caller.node_name;
  if (caller.pod_name.empty() || caller.pod_uid.empty()) {
    return Deny(base::StrCat("the token of ", caller.Username(),
                             " says neither node nor pod (it must be a "
                             "projected one, bound to the agent's pod)"));
  }
  // The agent's own pod is no part of the mesh: its membership says nothing.
  NODEWARD_ASSIGN(const PodDirectory::Pod pod,
                  pods.Find(caller.name_space, caller.pod_name));
  if (pod == nullptr) {
    return Deny(base::StrCat("the caller's pod ", caller.name_space, "/",
                             caller.pod_name, " is not known"));
  }
  if (pod->uid != caller.pod_uid) {
    return Deny(base::StrCat("the caller's pod ", pod->QualifiedName(),
                             " has another UID than the token"));
  }
  if (pod->identity->service_account != caller.service_account) {
    return Deny(base::StrCat("the caller's pod ", pod->QualifiedName(),
                             " has another ServiceAccount than the token"));
  }
  if (pod->node->empty()) {
    return Deny(base::StrCat("the caller's pod ", pod->QualifiedName(),
                             " is on no node"));
  }
  return pod->node;
}

}  // namespace nodeward::ca
