// SPDX-License-Identifier: Apache-2.0
#include "cni/call.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/text.h"

namespace nodeward::cni {
namespace {

using base::Json;
using base::StrCat;

// "IgnoreUnknown=1;K8S_POD_NAMESPACE=full;K8S_POD_NAME=sleep"
std::map<std::string, std::string> ReadArguments(std::string_view text) {
  std::map<std::string, std::string> arguments;
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    arguments[std::string(part.substr(0, equals))] = part.substr(equals + 1);
  }
  return arguments;
}

// "10.0.0.7/24" of interfaces that are inside of the sandbox. Where a result
// does not say which interface has an address, the address counts.
std::vector<base::IpAddress> AddressesOf(const Json& result) {
  const Json& interfaces = base::GetMember(result, "interfaces");
  const auto is_outside = [&](const Json& ip) {
    const Json& index = base::GetMember(ip, "interface");
    if (!index.is_number_unsigned() || !interfaces.is_array()) return false;
    const auto at = index.get<size_t>();
    return at < interfaces.size() &&
           base::GetString(interfaces[at], "sandbox").empty();
  };
  std::vector<base::IpAddress> addresses;
  const Json& ips = base::GetMember(result, "ips");
  if (!ips.is_array()) return addresses;
  for (const Json& ip : ips) {
    const std::string text = base::GetString(ip, "address");
    const auto address = base::IpAddress::Parse(text.substr(0, text.find('/')));
    if (address.ok() && !is_outside(ip)) addresses.push_back(*address);
  }
  return addresses;
}

base::Status CheckVersion(const std::string& version) {
  const auto& known = SupportedVersions();
  if (std::find(known.begin(), known.end(), version) != known.end()) {
    return base::OkStatus();
  }
  return absl::UnimplementedError(StrCat("cniVersion '", version,
                                         "' is not one of ", known.front(),
                                         " to ", known.back()));
}

base::Status RequireSandbox(const Call& call) {
  if (call.container_id.empty()) {
    return absl::InvalidArgumentError("CNI_CONTAINERID is not set");
  }
  if (!call.netns.starts_with('/')) {
    return absl::InvalidArgumentError(
        StrCat("CNI_NETNS '", call.netns, "' is no absolute path"));
  }
  if (call.previous.is_object()) return base::OkStatus();
  return absl::FailedPreconditionError(StrCat(
      "there is no prevResult: ", kPluginName,
      " makes no interface; it comes after the plugins of a list that do"));
}

}  // namespace

const std::vector<std::string>& SupportedVersions() {
  static const auto* const kVersions =
      new std::vector<std::string>{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
  return *kVersions;
}

base::StatusOr<Verb> ReadVerb(const Variables& variables) {
  constexpr std::pair<const char*, Verb> kVerbs[] = {
      {"ADD", Verb::kAdd},     {"DEL", Verb::kDel},
      {"CHECK", Verb::kCheck}, {"STATUS", Verb::kStatus},
      {"GC", Verb::kGc},       {"VERSION", Verb::kVersion}};
  const std::string command = variables("CNI_COMMAND");
  for (const auto& [name, verb] : kVerbs) {
    if (command == name) return verb;
  }
  if (command.empty()) {
    return absl::InvalidArgumentError(
        "CNI_COMMAND is not set: container runtimes call this, for each pod");
  }
  return absl::InvalidArgumentError(
      StrCat("CNI_COMMAND '", command, "' is not known"));
}

base::StatusOr<Call> ReadCall(const Variables& variables,
                              std::string_view configuration) {
  Call call;
  NODEWARD_ASSIGN(call.verb, ReadVerb(variables));
  const auto json = base::ParseJson(configuration);
  if (!json.ok() || !json->is_object()) {
    return absl::DataLossError(
        "the network configuration on standard input is no JSON object");
  }
  call.cni_version = base::GetString(*json, "cniVersion");
  if (call.verb == Verb::kVersion) return call;
  NODEWARD_TRY(CheckVersion(call.cni_version));
  call.container_id = variables("CNI_CONTAINERID");
  call.netns = variables("CNI_NETNS");
  auto arguments = ReadArguments(variables("CNI_ARGS"));
  call.name_space = arguments["K8S_POD_NAMESPACE"];
  call.pod = arguments["K8S_POD_NAME"];
  call.uid = arguments["K8S_POD_UID"];
  call.socket = base::GetString(*json, "socket");
  call.kubeconfig = base::GetString(*json, "kubeconfig");
  call.namespaces = base::GetString(*json, "namespaces");
  call.agent_namespace = base::GetString(*json, "agentNamespace");
  call.previous = base::GetMember(*json, "prevResult");
  call.ips = AddressesOf(call.previous);
  if (call.verb == Verb::kAdd || call.verb == Verb::kCheck) {
    NODEWARD_TRY(RequireSandbox(call));
  }
  return call;
}

}  // namespace nodeward::cni
