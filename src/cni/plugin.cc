// SPDX-License-Identifier: Apache-2.0
#include "cni/plugin.h"

#include <utility>

#include "base/text.h"
#include "cni/decision.h"
#include "cni/result.h"
#include "discovery/field.h"

namespace nodeward::cni {
namespace {

using base::StrCat;

constexpr char kSystemNamespace[] = "kube-system";

std::string Message(const base::Status& status) {
  return std::string(status.message());
}

// One call that is about a pod.
class PodCall {
 public:
  PodCall(const Call& call, const World& world) : call_(call), world_(world) {}

  base::Status Run();

 private:
  // Where no agent knows; `agent` says why.
  base::Status WithoutAgent(const std::string& agent);
  Decision AskApi();
  base::StatusOr<Sighting> See(const Kubeconfig& config);
  Decision AskList(const std::string& api);
  base::Status Refuse(std::string_view why) const {
    return absl::UnavailableError(
        StrCat("pod ", call_.name_space, "/", call_.pod, " ", why));
  }

  const Call& call_;
  const World& world_;
};

base::Status PodCall::Run() {
  const bool of_kubernetes = !call_.name_space.empty();
  if (!of_kubernetes || call_.name_space == kSystemNamespace) {
    return base::OkStatus();
  }
  const auto answer =
      world_.ask_agent(call_.socket, {.starts = call_.verb == Verb::kAdd,
                                      .netns = call_.netns,
                                      .container_id = call_.container_id,
                                      .name_space = call_.name_space,
                                      .pod = call_.pod,
                                      .uid = call_.uid,
                                      .ips = call_.ips});
  if (!answer.ok()) return WithoutAgent(Message(answer.status()));
  switch (answer->kind) {
    case Answer::Kind::kCaptured:
    case Answer::Kind::kOutside:
      return base::OkStatus();
    case Answer::Kind::kRefused:
      return Refuse(StrCat("is not let start: ", answer->reason));
    case Answer::Kind::kUnsure:
      break;
  }
  return WithoutAgent(StrCat("the agent does not know it: ", answer->reason));
}

base::Status PodCall::WithoutAgent(const std::string& agent) {
  if (call_.name_space == call_.agent_namespace) return base::OkStatus();
  const Decision decision = AskApi();
  switch (decision.kind) {
    case Decision::Kind::kOutside:
      return base::OkStatus();
    case Decision::Kind::kInMesh:
      return Refuse(StrCat(
          "is of the mesh (", decision.reason,
          ") and waits until the agent of this node can capture it: ", agent,
          "; see that the pod nodeward-agent of this node runs"));
    case Decision::Kind::kNotHere:
      return Refuse(StrCat("is not let start: ", decision.reason));
    case Decision::Kind::kUnknown:
      break;
  }
  return Refuse(StrCat("may be of the mesh, and nobody says: ", agent, "; ",
                       decision.reason,
                       "; see that nodeward-agent and the API server answer"));
}

Decision PodCall::AskApi() {
  // They become part of a path.
  if (!discovery::IsDnsName(call_.name_space) ||
      !discovery::IsDnsName(call_.pod)) {
    return {Decision::Kind::kUnknown, "its name is none of Kubernetes"};
  }
  const auto text = world_.read(call_.kubeconfig);
  if (!text.ok()) return AskList(Message(text.status()));
  const auto config = ReadKubeconfig(*text);
  if (!config.ok()) {
    return AskList(
        StrCat("read ", call_.kubeconfig, ": ", Message(config.status())));
  }
  const auto sighting = See(*config);
  if (!sighting.ok()) return AskList(Message(sighting.status()));
  Decision decision = Decide(*sighting, call_.uid, "");
  return decision.kind == Decision::Kind::kUnknown ? AskList(decision.reason)
                                                   : decision;
}

base::StatusOr<Sighting> PodCall::See(const Kubeconfig& config) {
  const std::string name_space =
      StrCat("/api/v1/namespaces/", call_.name_space);
  const std::pair<std::string, bool> targets[] = {
      {name_space, false}, {StrCat(name_space, "/pods/", call_.pod), true}};
  Sighting sighting;
  for (const auto& [target, is_pod] : targets) {
    NODEWARD_ASSIGN(const HttpAnswer answer, world_.get(config, target));
    (is_pod ? sighting.pod_status : sighting.namespace_status) = answer.status;
    if (answer.status != 200) continue;
    auto object = base::ParseJson(answer.body);
    if (!object.ok() || !object->is_object()) {
      return absl::UnavailableError(
          StrCat("ask the API server for ", target, ": the answer is broken"));
    }
    (is_pod ? sighting.pod : sighting.name_space) = *std::move(object);
  }
  return sighting;
}

Decision PodCall::AskList(const std::string& api) {
  const auto text = world_.read(call_.namespaces);
  const auto known = text.ok() ? ReadKnownNamespaces(*text)
                               : base::StatusOr<KnownNamespaces>(text.status());
  if (!known.ok()) {
    return {Decision::Kind::kUnknown, StrCat(api, "; read ", call_.namespaces,
                                             ": ", Message(known.status()))};
  }
  const auto found = known->find(call_.name_space);
  if (found == known->end()) {
    return {Decision::Kind::kUnknown, StrCat(api, "; ", call_.namespaces,
                                             " does not have its namespace")};
  }
  if (!found->second) {
    return {Decision::Kind::kOutside,
            "neither its namespace nor a pod there was opted in"};
  }
  return {Decision::Kind::kUnknown,
          StrCat(api, "; its namespace or a pod there was opted in")};
}

Outcome Failed(const base::Status& status, const std::string& version) {
  return {1, FailureText(status, version)};
}

}  // namespace

Outcome RunPlugin(const Variables& variables, std::string_view configuration,
                  const World& world) {
  const auto verb = ReadVerb(variables);
  if (!verb.ok()) return Failed(verb.status(), "");
  // What could be left of a pod goes with its namespace; a DEL that fails would
  // keep the pod from ending.
  if (*verb == Verb::kDel || *verb == Verb::kGc) return {};
  const auto call = ReadCall(variables, configuration);
  if (!call.ok()) {
    const auto json = base::ParseJson(configuration);
    return Failed(call.status(),
                  json.ok() ? base::GetString(*json, "cniVersion") : "");
  }
  if (call->verb == Verb::kVersion) {
    return {0, VersionText(call->cni_version)};
  }
  // Pods that are not of the mesh can be started whatever is with the agent.
  if (call->verb == Verb::kStatus) return {};
  const base::Status done = PodCall(*call, world).Run();
  if (!done.ok()) return Failed(done, call->cni_version);
  return {0, call->verb == Verb::kAdd ? ResultText(*call) : ""};
}

}  // namespace nodeward::cni
