// SPDX-License-Identifier: Apache-2.0
#include "discovery/pod.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/text.h"
#include "discovery/file_set.h"
#include "discovery/opt_in.h"

namespace nodeward::discovery {
namespace {

using model::Workload;

constexpr std::string_view kNetnsAnnotation = "nodeward.io/netns";
constexpr char kSidecarStatus[] = "sidecar.istio.io/status";

bool Contains(const std::vector<uint16_t>& ports, uint16_t port) {
  return std::find(ports.begin(), ports.end(), port) != ports.end();
}

std::string FirstOf(const model::Labels& labels,
                    std::initializer_list<const char*> keys,
                    const std::string& fallback) {
  for (const char* key : keys) {
    const auto found = labels.find(key);
    if (found != labels.end() && !found->second.empty()) return found->second;
  }
  return fallback;
}

// Of TCP only; others cannot be probed or served through the mesh.
std::vector<model::ContainerPort> ReadContainerPorts(const Field& container) {
  std::vector<model::ContainerPort> ports;
  for (const Field& item : container["ports"].Lenient().Items()) {
    const std::string name = item["name"].Text();
    const std::string protocol = item["protocol"].Text("TCP");
    const auto port = item["containerPort"].Port();
    if (!port.has_value() || protocol != "TCP") continue;
    ports.push_back({name, *port, model::TraitsOfPort("", name)});
  }
  return ports;
}

// A port by number, by the name of one of the container's ports, or by a
// number in a string, as the kubelet resolves it.
std::optional<uint16_t> ResolvePort(
    const Field& field, const std::vector<model::ContainerPort>& ports) {
  if (!field.is_text()) return field.Port();
  const std::string name = field.Text();
  for (const model::ContainerPort& port : ports) {
    if (port.name == name) return port.port;
  }
  int number = 0;
  if (absl::SimpleAtoi(base::ToAbsl(name), &number) && number > 0 &&
      number < 65536) {
    return static_cast<uint16_t>(number);
  }
  field.Flaw(base::StrCat("the container has no port named '", name, "'"));
  return std::nullopt;
}

// What the containers have together.
struct Ports {
  std::vector<model::ContainerPort> declared;
  std::vector<uint16_t> probed;
};

// One probe or lifecycle handler. With a `host` of its own the kubelet asks
// that host, not the pod.
void ReadHandler(const Field& handler,
                 const std::vector<model::ContainerPort>& ports,
                 const std::vector<base::IpAddress>& ips,
                 std::vector<uint16_t>* probed) {
  for (const char* kind : {"httpGet", "tcpSocket", "grpc"}) {
    const Field action = handler[kind];
    if (!action.present()) continue;
    const std::string host = action["host"].Text();
    const bool elsewhere =
        !host.empty() &&
        std::none_of(ips.begin(), ips.end(),
                     [&](const auto& ip) { return ip.ToString() == host; });
    if (elsewhere) continue;
    const auto port = ResolvePort(action["port"], ports);
    if (port.has_value() && !Contains(*probed, *port)) {
      probed->push_back(*port);
    }
  }
}

void ReadContainer(const Field& container, Ports* all, Pod* pod) {
  const auto ports = ReadContainerPorts(container);
  const auto& ips = pod->workload->ips;
  const Field lenient = container.Lenient();
  for (const char* probe :
       {"livenessProbe", "readinessProbe", "startupProbe"}) {
    ReadHandler(lenient[probe], ports, ips, &all->probed);
  }
  for (const char* hook : {"postStart", "preStop"}) {
    ReadHandler(lenient["lifecycle"][hook], ports, ips, &all->probed);
  }
  all->declared.insert(all->declared.end(), ports.begin(), ports.end());
  if (container["name"].Text() == "istio-proxy") {
    pod->sidecar = "container istio-proxy: a sidecar captures its traffic";
  }
}

void ReadStatus(const Field& status, Workload* workload, Pod* pod) {
  const auto add = [&](const Field& field) {
    const auto ip = field.Address();
    if (ip.has_value() && std::find(workload->ips.begin(), workload->ips.end(),
                                    *ip) == workload->ips.end()) {
      workload->ips.push_back(*ip);
    }
  };
  for (const Field& item : status["podIPs"].Items()) add(item["ip"]);
  add(status["podIP"]);
  const std::string phase = status["phase"].Text();
  if (phase == "Succeeded" || phase == "Failed") {
    pod->ended = "phase " + phase;
  }
  for (const Field& condition : status["conditions"].Items()) {
    if (condition["type"].Text() == "Ready") {
      workload->ready = condition["status"].Text() == "True";
    }
  }
}

void ReadNames(const Field& root, const Metadata& metadata,
               Workload* workload) {
  const model::Labels& labels = metadata.labels;
  workload->workload_name =
      WorkloadName(root["metadata"]["ownerReferences"], metadata);
  workload->canonical_service = FirstOf(
      labels,
      {"service.istio.io/canonical-name", "app.kubernetes.io/name", "app"},
      workload->workload_name);
  workload->canonical_revision =
      FirstOf(labels,
              {"service.istio.io/canonical-revision",
               "app.kubernetes.io/version", "version"},
              "latest");
  workload->app = FirstOf(labels, {"app", "app.kubernetes.io/name"},
                          workload->canonical_service);
  workload->version = FirstOf(labels, {"version", "app.kubernetes.io/version"},
                              workload->canonical_revision);
}

void ReadNetns(const Field& root, const Metadata& metadata,
               Workload* workload) {
  const auto found = metadata.annotations.find(std::string(kNetnsAnnotation));
  if (found == metadata.annotations.end()) return;
  if (!found->second.starts_with('/')) {
    root.Lenient()["metadata"]["annotations"][kNetnsAnnotation].Flaw(
        "must be an absolute path as /run/netns/NAME");
    return;
  }
  workload->netns_path = found->second;
}

// The suffix that a ReplicaSet gets: letters and digits that make no words.
bool IsTemplateHash(std::string_view text) {
  constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz0123456789";
  return !text.empty() && text.size() <= 10 &&
         text.find_first_not_of(kAlphabet) == std::string_view::npos;
}

}  // namespace

std::string WorkloadName(const Field& owners, const Metadata& metadata) {
  std::string kind;
  std::string name;
  for (const Field& owner : owners.Items()) {
    const bool controller = owner["controller"].Flag();
    if (!name.empty() && !controller) continue;
    kind = owner["kind"].Text();
    name = owner["name"].Text();
    if (controller) break;
  }
  if (name.empty()) return metadata.name;
  const size_t dash = name.rfind('-');
  if (dash == std::string::npos || dash == 0) return name;
  const std::string_view suffix = std::string_view(name).substr(dash + 1);
  if (kind == "ReplicaSet") {
    const auto hash = metadata.labels.find("pod-template-hash");
    const bool is_hash = hash != metadata.labels.end() ? hash->second == suffix
                                                       : IsTemplateHash(suffix);
    return is_hash ? name.substr(0, dash) : name;
  }
  // A CronJob's Jobs end in the minute of their schedule.
  const bool is_minute =
      kind == "Job" && suffix.size() >= 8 && suffix.size() <= 10 &&
      suffix.find_first_not_of("0123456789") == std::string_view::npos;
  return is_minute ? name.substr(0, dash) : name;
}

Pod ReadPod(const Field& root, const Metadata& metadata,
            const std::string& trust_domain) {
  Pod pod;
  const auto owned = std::make_shared<Workload>();
  pod.workload = owned;
  Workload& workload = *owned;
  const Field spec = root["spec"];
  workload.name = metadata.name;
  workload.name_space = metadata.name_space;
  workload.labels = metadata.labels;
  workload.node = spec["nodeName"].Text();
  const std::string account =
      spec["serviceAccountName"].Name(spec["serviceAccount"].Name("default"));
  workload.identity = {trust_domain, metadata.name_space, account};
  pod.host_network = spec["hostNetwork"].Flag();
  ReadStatus(root["status"], &workload, &pod);
  if (root["metadata"]["deletionTimestamp"].present()) {
    pod.ended = "being deleted";
  }
  Ports ports;
  for (const char* list : {"initContainers", "containers"}) {
    for (const Field& container : spec[list].Items()) {
      ReadContainer(container, &ports, &pod);
    }
  }
  workload.ports = std::move(ports.declared);
  workload.probe_ports = std::move(ports.probed);
  // Anybody may write an annotation: it takes no pod out of the mesh alone.
  if (pod.sidecar->empty() && metadata.annotations.contains(kSidecarStatus)) {
    root["metadata"]["annotations"][kSidecarStatus].Note(
        "has no effect: the pod has no container istio-proxy");
  }
  ReadNames(root, metadata, &workload);
  ReadNetns(root, metadata, &workload);
  workload.proxy_mounts = ReadProxyMounts(root, metadata);
  pod.opt_in = ReadOptIn(root["metadata"]["labels"], false);
  workload.uid = metadata.uid;
  if (workload.uid.empty()) {
    workload.uid = base::StrCat(
        workload.QualifiedName(), "/",
        workload.ips.empty() ? "" : workload.ips.front().ToString());
  }
  return pod;
}

}  // namespace nodeward::discovery
