// SPDX-License-Identifier: Apache-2.0
#include "policy/answer.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "policy/authn.h"
#include "policy/ignored.h"
#include "policy/path.h"
#include "policy/verdict.h"

namespace nodeward::policy {
namespace {

using base::Json;
using base::StrCat;
using model::Snapshot;
using model::Workload;

struct Destination {
  const Workload* workload;
  uint16_t port;
};

uint16_t FirstPort(const Workload& workload) {
  return workload.ports->empty() ? 0 : workload.ports->front().port;
}

const Workload* FindPod(const Snapshot& snapshot, const Question& question) {
  for (const auto& workload : snapshot.workloads) {
    if (workload->name == question.name &&
        workload->name_space == question.name_space) {
      return workload.get();
    }
  }
  return nullptr;
}

base::StatusOr<std::vector<Destination>> FindEndpoints(
    const model::Service& service, const Question& question) {
  const std::string title =
      StrCat("service ", service.name_space, "/", service.name);
  const model::ServicePort* port = nullptr;
  if (question.port.has_value()) {
    port = service.FindPort(*question.port);
    if (port == nullptr) {
      return absl::NotFoundError(
          StrCat(title, " has no port ", *question.port));
    }
  } else if (service.ports.empty()) {
    return absl::NotFoundError(StrCat(title, " has no port"));
  } else {
    port = &service.ports.front();
  }
  std::vector<Destination> destinations;
  for (const model::ServiceEndpoint& endpoint : port->ready) {
    if (endpoint.workload == nullptr) continue;
    destinations.push_back({endpoint.workload.get(), endpoint.address.port});
  }
  if (destinations.empty()) {
    return absl::NotFoundError(
        StrCat(title, " has no ready pod behind port ", port->port));
  }
  return destinations;
}

// A pod is meant before a service of the same name.
base::StatusOr<std::vector<Destination>> FindDestinations(
    const Snapshot& snapshot, const Question& question) {
  if (const Workload* pod = FindPod(snapshot, question)) {
    return std::vector<Destination>{
        {pod, question.port.value_or(FirstPort(*pod))}};
  }
  for (const auto& service : snapshot.services) {
    if (service->name == question.name &&
        service->name_space == question.name_space) {
      return FindEndpoints(*service, question);
    }
  }
  return absl::NotFoundError(StrCat("there is no pod and no service ",
                                    question.name_space, "/", question.name));
}

// The one that a client at `source` would use.
base::IpAddress AddressOf(const Workload& workload,
                          const base::IpAddress& source) {
  const auto same = std::find_if(
      workload.ips.begin(), workload.ips.end(), [&](const auto& ip) {
        return source.is_unspecified() || ip.is_v4() == source.is_v4();
      });
  return same == workload.ips.end() ? base::IpAddress() : *same;
}

Json TextOrNull(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

class Answerer {
 public:
  Answerer(const Snapshot& snapshot, const Question& question)
      : snapshot_(snapshot),
        question_(question),
        path_(NormalizePath(snapshot.path_normalization, question.path)) {
    for (const auto& [name, value] : question.headers) {
      headers_.push_back({name, value});
    }
    // What has no normal form is refused below; until then it is what it is.
    if (!path_.has_value())
      path_ = question.path;
    else
      has_path_ = true;
    http_ = {question.method, *path_, question.host, headers_};
  }

  Json Answer(const Destination& destination) const;

 private:
  const Snapshot& snapshot_;
  const Question& question_;
  std::optional<std::string> path_;
  bool has_path_ = false;
  std::vector<HttpHeader> headers_;
  HttpRequest http_;
};

Json Answerer::Answer(const Destination& destination) const {
  const Workload& workload = *destination.workload;
  std::vector<std::string> notes;
  if (!workload.in_mesh()) {
    notes.push_back(StrCat(workload.QualifiedName(), " is not in the mesh (",
                           *workload.membership_reason,
                           "): nothing of this is enforced there"));
  }
  Connection connection{question_.from_ip, question_.from, destination.port};
  connection.destination = AddressOf(workload, question_.from_ip);
  connection.sni = question_.sni;
  if (question_.http) connection.http = &http_;
  const EffectiveMtls mtls = MtlsFor(snapshot_, workload, destination.port);
  if (mtls.mode == model::MtlsMode::kDisable && question_.from.has_value()) {
    connection.peer.reset();
    notes.push_back(
        "the mode is DISABLE: clients come in plaintext, without identity");
  }
  Verdict verdict = Admit(snapshot_, workload, connection);
  if (question_.http && !has_path_ &&
      (verdict.allow || verdict.layer == Verdict::Layer::kAuthz)) {
    verdict.allow = false;
    verdict.layer = Verdict::Layer::kAuthz;
    verdict.policy.clear();
    verdict.rule = -1;
    verdict.reason = "the path has no normal form: such a request is bad (400)";
  }
  Json ignored = Json::array();
  for (const IgnoredPolicy& each :
       FindIgnored(snapshot_, workload, connection)) {
    ignored.push_back({{"policy", each.policy},
                       {"kind", each.kind},
                       {"reason", each.reason}});
  }
  Json answer = Json::object();
  answer["verdict"] = verdict.allow ? "ALLOW" : "DENY";
  answer["layer"] = verdict.layer == Verdict::Layer::kAuthn ? "authn" : "authz";
  answer["policy"] = TextOrNull(verdict.policy);
  answer["rule"] = verdict.rule < 0 ? Json() : Json(verdict.rule);
  answer["mtls"] = std::string(model::MtlsModeText(mtls.mode));
  answer["ignored"] = std::move(ignored);
  answer["mtlsPolicy"] = TextOrNull(mtls.policy);
  answer["reason"] = verdict.reason;
  answer["to"] = workload.QualifiedName();
  answer["port"] = destination.port;
  answer["notes"] = notes;
  return answer;
}

}  // namespace

base::StatusOr<Json> AnswerQuestion(const Snapshot& snapshot,
                                    const Question& question) {
  NODEWARD_ASSIGN(const auto destinations,
                  FindDestinations(snapshot, question));
  const Answerer answerer(snapshot, question);
  Json first;
  for (const Destination& destination : destinations) {
    Json answer = answerer.Answer(destination);
    const bool denied = base::GetString(answer, "verdict") == "DENY";
    if (destinations.size() > 1) {
      answer["notes"].push_back(
          StrCat(denied ? "not all" : "all", " of the service's ",
                 destinations.size(), " ready pods would let it in"));
    }
    if (denied) return answer;
    if (first.is_null()) first = std::move(answer);
  }
  return first;
}

}  // namespace nodeward::policy
