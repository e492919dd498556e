// SPDX-License-Identifier: Apache-2.0
#include "admin/tap.h"

#include <set>
#include <utility>
#include <vector>

#include "base/text.h"

namespace nodeward::admin {
namespace {

using base::GetString;
using base::Json;
using base::StrAppend;
using base::StrCat;
using observe::TapEvent;
using observe::TapSubject;
using Kind = TapSubject::Kind;

// How many names an error lists.
constexpr size_t kMaxListed = 10;
// Events taken from the queue at a time; each becomes a line of less than 8
// KiB.
constexpr size_t kBatch = 64;

Kind KindOf(std::string_view word) {
  for (const std::string_view pod : {"po", "pod", "pods"}) {
    if (word == pod) return Kind::kPod;
  }
  for (const std::string_view service : {"svc", "service", "services"}) {
    if (word == service) return Kind::kService;
  }
  for (const std::string_view owner :
       {"deploy", "deployment", "deployments", "sts", "statefulset",
        "statefulsets", "ds", "daemonset", "daemonsets", "rs", "replicaset",
        "replicasets", "job", "jobs", "cj", "cronjob", "cronjobs"}) {
    if (word == owner) return Kind::kWorkload;
  }
  return Kind::kAll;
}

// In namespace `given`, else, where `text` names none itself, in `fallback`.
base::StatusOr<TapSubject> ReadSubject(const std::string& text,
                                       const std::string& given,
                                       const std::string& fallback) {
  TapSubject subject;
  subject.name_space = given.empty() ? fallback : given;
  if (text.empty()) return subject;
  const size_t slash = text.find('/');
  if (slash == std::string::npos) {
    subject.kind = Kind::kEither;
    subject.name = text;
    return subject;
  }
  const std::string word = text.substr(0, slash);
  const std::string name = text.substr(slash + 1);
  if (name.empty()) {
    return absl::InvalidArgumentError(
        StrCat("'", text, "' lacks a name; use, for example, deploy/web"));
  }
  if (word == "ns" || word == "namespace" || word == "namespaces") {
    if (!given.empty() && given != name) {
      return absl::InvalidArgumentError(
          StrCat(text, " is not namespace ", given, "; give one of them"));
    }
    subject.name_space = name;
    return subject;
  }
  subject.kind = KindOf(word);
  if (subject.kind == Kind::kAll) {
    return absl::InvalidArgumentError(StrCat(
        "'", text, "' is of a kind that cannot be tapped; use deploy/", name,
        ", pod/", name, ", svc/", name, ", ns/", name, " or ", name));
  }
  subject.name = name;
  return subject;
}

std::string List(const std::set<std::string>& names) {
  std::string list;
  size_t count = 0;
  for (const std::string& name : names) {
    if (++count > kMaxListed) {
      StrAppend(&list, " and ", names.size() - kMaxListed, " more");
      break;
    }
    StrAppend(&list, list.empty() ? "" : ", ", name);
  }
  return list;
}

// What could have been named instead.
std::string Existing(const TapSubject& subject,
                     const model::Snapshot& snapshot) {
  std::set<std::string> names;
  std::set<std::string> spaces;
  const auto add = [&](const std::string& space, const std::string& name) {
    spaces.insert("ns/" + space);
    if (subject.name_space == space || subject.name_space.empty()) {
      names.insert(name);
    }
  };
  for (const auto& workload : snapshot.workloads) {
    if (subject.kind == Kind::kService) continue;
    const bool pods = subject.kind == Kind::kPod;
    const std::string& name = pods ? workload->name : *workload->workload_name;
    if (workload->in_mesh()) {
      add(workload->name_space, (pods ? "pod/" : "deploy/") + name);
    }
  }
  for (const auto& service : snapshot.services) {
    if (subject.kind != Kind::kService) continue;
    add(service->name_space, "svc/" + service->name);
  }
  if (spaces.empty()) return "nothing of the kind is in the mesh";
  if (names.empty()) return StrCat("there are ", List(spaces));
  return StrCat("there are ", List(names));
}

std::string Describe(const TapSubject& subject) {
  const std::string where =
      subject.name_space.empty() ? "" : " in namespace " + subject.name_space;
  switch (subject.kind) {
    case Kind::kAll:
      return subject.name_space.empty() ? "pod" : "pod" + where;
    case Kind::kPod:
      return StrCat("pod/", subject.name, where);
    case Kind::kWorkload:
      return StrCat("deploy/", subject.name, where);
    case Kind::kEither:
      return StrCat("pod or owner of pods named ", subject.name, where);
    case Kind::kService:
      return StrCat("svc/", subject.name, where);
  }
  return "";
}

// The pods that `subject` means; of a service, its ready ones. *named: it
// exists, whether it has pods or not.
std::vector<const model::Workload*> PodsOf(const TapSubject& subject,
                                           const model::Snapshot& snapshot,
                                           bool* named) {
  std::vector<const model::Workload*> pods;
  for (const auto& workload : snapshot.workloads) {
    if (subject.Selects(workload.get(), nullptr)) {
      pods.push_back(workload.get());
    }
  }
  *named = !pods.empty();
  for (const auto& service : snapshot.services) {
    if (!subject.Selects(nullptr, service.get())) continue;
    *named = true;
    for (const auto& port : service->ports) {
      for (const auto& endpoint : port.ready) {
        if (endpoint.workload != nullptr) {
          pods.push_back(endpoint.workload.get());
        }
      }
    }
  }
  return pods;
}

// `node`: where one of its pods must be.
base::Status CheckExists(const TapSubject& subject,
                         const model::Snapshot& snapshot,
                         const std::string* node) {
  bool named = false;
  const auto pods = PodsOf(subject, snapshot, &named);
  if (!named) {
    return absl::NotFoundError(StrCat("there is no ", Describe(subject), "; ",
                                      Existing(subject, snapshot)));
  }
  if (node == nullptr) return base::OkStatus();
  std::set<std::string> elsewhere;
  std::string outside = StrCat(Describe(subject), " has no ready pod");
  for (const model::Workload* pod : pods) {
    if (!pod->in_mesh()) {
      const std::string& why = pod->membership_reason;
      outside = StrCat("pod ", pod->QualifiedName(), " is not in the mesh: ",
                       why.empty() ? model::MembershipText(pod->membership)
                                   : std::string_view(why));
    } else if (*pod->node == *node) {
      return base::OkStatus();
    } else {
      elsewhere.insert(pod->node);
    }
  }
  if (elsewhere.empty()) return absl::NotFoundError(outside);
  return absl::NotFoundError(StrCat("no ", Describe(subject),
                                    " is on this node, ", *node,
                                    "; ask the agent of ", List(elsewhere)));
}

// --- events as lines ---------------------------------------------------------

std::string Visible(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string visible;
  visible.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte > 0x20 && byte < 0x7f && c != '\\') {
      visible += c;
    } else {
      visible += "\\x";
      visible += kDigits[byte >> 4];
      visible += kDigits[byte & 0xf];
    }
  }
  return visible;
}

// Only mutual TLS is "true"; the others are Linkerd's words where it has one.
std::string_view TlsText(const observe::TapConnection& connection) {
  switch (connection.security) {
    case observe::Security::kMutualTls:
      return "true";
    case observe::Security::kPassthroughTls:
      return "opaque";
    case observe::Security::kOriginatedTls:
      return "originated";
    case observe::Security::kPlaintext:
      return connection.reporter == observe::Reporter::kDestination
                 ? "no_tls_from_remote"
                 : "not_provided_by_service_discovery";
    case observe::Security::kUnknown:
      break;
  }
  return "unknown";
}

void AddPod(Json* json, const std::string& end, const model::Workload* pod,
            const model::Identity* identity) {
  if (pod != nullptr) {
    (*json)[end + "_pod"] = pod->name;
    (*json)[end + "_workload"] = *pod->workload_name;
    (*json)[end + "_namespace"] = pod->name_space;
  }
  if (identity != nullptr) (*json)[end + "_identity"] = identity->ToSpiffe();
}

std::string_view KindText(TapEvent::Kind kind) {
  switch (kind) {
    case TapEvent::Kind::kRequest:
      return "req";
    case TapEvent::Kind::kResponse:
      return "rsp";
    case TapEvent::Kind::kEnd:
      return "end";
    case TapEvent::Kind::kOpen:
      return "open";
    case TapEvent::Kind::kClose:
      break;
  }
  return "close";
}

Json ToJson(const TapEvent& event) {
  const observe::TapConnection& connection = *event.connection;
  const bool in = connection.reporter == observe::Reporter::kDestination;
  Json json = {{"event", KindText(event.kind)},
               {"base", event.id.base},
               {"stream", event.id.stream},
               {"proxy", in ? "in" : "out"},
               {"src", connection.source.ToString()},
               {"dst", connection.destination.ToString()},
               {"tls", TlsText(connection)}};
  AddPod(&json, "src", connection.source_workload.get(),
         connection.source_identity.get());
  AddPod(&json, "dst", connection.destination_workload.get(),
         connection.destination_identity.get());
  if (connection.service != nullptr) {
    json["dst_service"] = connection.service->name;
  }
  const int64_t microseconds = absl::ToInt64Microseconds(event.time);
  switch (event.kind) {
    case TapEvent::Kind::kRequest:
      json["method"] = Visible(event.method);
      json["authority"] = Visible(event.authority);
      json["path"] = Visible(event.path);
      break;
    case TapEvent::Kind::kResponse:
      json["status"] = event.status;
      json["latency_us"] = microseconds;
      break;
    case TapEvent::Kind::kEnd:
      json["duration_us"] = microseconds;
      json["response_length"] = event.received;
      if (event.grpc_status.has_value()) {
        json["grpc_status"] = *event.grpc_status;
      }
      if (!event.reset.empty()) json["reset_error"] = event.reset;
      break;
    case TapEvent::Kind::kOpen:
      break;
    case TapEvent::Kind::kClose:
      json["duration_us"] = microseconds;
      json["sent"] = event.sent;
      json["received"] = event.received;
      json["outcome"] = observe::OutcomeText(event.outcome);
      break;
  }
  return json;
}

std::string Line(const Json& json) {
  return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

class TapLines final : public LineSource {
 public:
  TapLines(observe::Taps* taps, std::shared_ptr<observe::Tap> tap)
      : taps_(taps), tap_(std::move(tap)) {}
  ~TapLines() override { taps_->Stop(tap_); }

  void Fill(std::string* out) override {
    while (out->size() < ControlServer::kStreamBytes) {
      const auto events = tap_->Take(kBatch);
      if (events.empty()) return;
      for (const TapEvent& event : events) *out += Line(ToJson(event));
    }
  }
  void Stop() override { taps_->Stop(tap_); }
  std::string LastLine() override {
    const auto missed = tap_->missed();
    return Line({{"last", true},
                 {"lost", missed.lost},
                 {"over_limit", missed.over_limit}});
  }

 private:
  observe::Taps* const taps_;
  const std::shared_ptr<observe::Tap> tap_;
};

}  // namespace

base::StatusOr<observe::TapQuestion> ReadTapQuestion(
    const Json& args, const model::Snapshot& snapshot,
    const std::string& node) {
  observe::TapQuestion question;
  const std::string name_space = GetString(args, "namespace");
  NODEWARD_ASSIGN(question.of,
                  ReadSubject(GetString(args, "resource"), name_space, ""));
  const bool everything =
      question.of.kind == Kind::kAll && question.of.name_space.empty();
  if (!everything) NODEWARD_TRY(CheckExists(question.of, snapshot, &node));
  const std::string to = GetString(args, "to");
  const std::string to_space = GetString(args, "to_namespace");
  if (!to.empty() || !to_space.empty()) {
    if (question.of.kind == Kind::kService) {
      return absl::InvalidArgumentError(
          "--to wants pods that send; svc/NAME has pods that are asked");
    }
    NODEWARD_ASSIGN(question.to, ReadSubject(to, to_space, name_space));
    NODEWARD_TRY(CheckExists(*question.to, snapshot, nullptr));
  }
  question.method = GetString(args, "method");
  question.path = GetString(args, "path");
  question.authority = GetString(args, "authority");
  const int64_t max_rps = base::GetInt(args, "max_rps", question.max_rps);
  if (max_rps < 1 || max_rps > 1'000'000) {
    return absl::InvalidArgumentError(
        StrCat("--max-rps ", max_rps, ": use 1 to 1000000"));
  }
  question.max_rps = static_cast<int>(max_rps);
  return question;
}

base::StatusOr<std::unique_ptr<LineSource>> StartTap(
    observe::TapQuestion question, observe::Taps* taps) {
  NODEWARD_ASSIGN(auto tap, taps->Start(std::move(question)));
  return std::make_unique<TapLines>(taps, std::move(tap));
}

}  // namespace nodeward::admin
