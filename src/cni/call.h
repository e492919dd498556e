// SPDX-License-Identifier: Apache-2.0
//
// cni: no pod of the mesh starts before it is captured. The chained CNI plugin
// that the container runtime calls for each pod, what it and the agent say to
// each other, and how the agent puts it on the node. The plugin is a program of
// one thread that lives for one call; the agent's side runs on the control
// loop. Captures nothing itself.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/json.h"
#include "base/status.h"

namespace nodeward::cni {

// The plugin's type in network configurations, and its file's name.
inline constexpr char kPluginName[] = "nodeward-cni";

enum class Verb { kAdd, kDel, kCheck, kStatus, kGc, kVersion };

// One call by a container runtime: the environment and standard input of the
// CNI specification, section 2.
struct Call {
  Verb verb = Verb::kVersion;
  std::string cni_version;  // of the configuration, and so of the answer
  std::string container_id;
  std::string netns;  // path
  // CNI_ARGS; empty when it is no pod of Kubernetes.
  std::string name_space, pod, uid;
  // What the agent has put into the configuration.
  std::string socket;
  std::string kubeconfig;
  std::string namespaces;
  std::string agent_namespace;
  base::Json previous;               // prevResult; null: none
  std::vector<base::IpAddress> ips;  // of `previous`, inside of the sandbox
};

// A variable of the environment; empty: not set.
using Variables = std::function<std::string(const char* name)>;

// CNI_COMMAND. InvalidArgument: none, or not one that there is.
base::StatusOr<Verb> ReadVerb(const Variables& variables);

// The whole call. Errors are as FailureText wants them.
base::StatusOr<Call> ReadCall(const Variables& variables,
                              std::string_view configuration);

// Versions of the specification that the plugin speaks, oldest first.
const std::vector<std::string>& SupportedVersions();

}  // namespace nodeward::cni
