// SPDX-License-Identifier: Apache-2.0
#include "discovery/manifest.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "base/text.h"
#include "base/yaml.h"
#include "discovery/authorization.h"
#include "discovery/destination_rule.h"
#include "discovery/field.h"
#include "discovery/file_set.h"
#include "discovery/metadata.h"
#include "discovery/network_policy.h"
#include "discovery/opt_in.h"
#include "discovery/pod.h"
#include "discovery/security.h"
#include "discovery/service.h"
#include "discovery/service_entry.h"

namespace nodeward::discovery {
namespace {

using model::Problem;

constexpr std::string_view kSecurityGroup = "security.istio.io/";
constexpr std::string_view kNetworkGroup = "networking.istio.io/";
constexpr std::string_view kRefusedUntilMended =
    "; until it is mended, connections to its host are refused";
constexpr std::string_view kUntilMended =
    "; until it is mended, it closes what it could concern";

bool IsSecurityKind(std::string_view kind) {
  return kind == "PeerAuthentication" || kind == "AuthorizationPolicy";
}

bool IsFileSet(std::string_view kind) {
  return kind == "ConfigMap" || kind == "Secret";
}

bool IsNetworking(std::string_view kind) {
  return kind == "DestinationRule" || kind == "ServiceEntry";
}

// Which group and versions a kind that we read has.
bool IsKnown(std::string_view kind, std::string_view version) {
  if (kind == "Namespace" || kind == "Pod" || kind == "Service" ||
      IsFileSet(kind)) {
    return version == "v1";
  }
  if (IsNetworking(kind)) {
    return version == "networking.istio.io/v1" ||
           version == "networking.istio.io/v1beta1" ||
           version == "networking.istio.io/v1alpha3";
  }
  if (kind == "EndpointSlice") return version == "discovery.k8s.io/v1";
  if (kind == "NetworkPolicy") return version == "networking.k8s.io/v1";
  return IsSecurityKind(kind) && (version == "security.istio.io/v1" ||
                                  version == "security.istio.io/v1beta1");
}

bool OfKnownKind(std::string_view kind) {
  return IsKnown(kind, "v1") || kind == "EndpointSlice" ||
         kind == "NetworkPolicy" || IsNetworking(kind) || IsSecurityKind(kind);
}

class Reader {
 public:
  Reader(const std::string& file, const Manifest* last,
         const ManifestContext& context)
      : file_(file), last_(last), context_(context) {}

  void ReadText(std::string_view text);
  void ReadDocument(const base::YamlDocument& document, int first_line);
  Manifest Take() &&;

 private:
  // Where a value stands: its document (for lines) and its pointer in it.
  struct Place {
    const base::YamlDocument* document;
    std::string pointer;
    int first_line;  // of the document's text in the file, from 0
    int LineOf(const std::string& inner) const {
      return first_line + document->LineOf(pointer + inner);
    }
  };

  void ReadPiecewise(std::string_view text, const base::Status& whole);
  void ReportSyntax(std::string_view text, const base::Status& status,
                    int first_line);
  void ReadValue(const base::Json& value, const Place& place,
                 const std::string& list_version, const std::string& list_kind);
  void ReadObject(const base::Json& value, const Place& place,
                  const std::string& kind);
  Object::Content ReadContent(const Field& root, const std::string& kind,
                              const Metadata& metadata, int line);
  void Keep(Object object, const base::Json& value, const Place& place,
            const Findings& findings);
  void Close(model::ClosingPolicy closing, Problem problem);
  void ReportUnknown(const base::Json& value, const Place& place,
                     const std::string& reason);
  const Object* LastGood(const Object& object) const;
  void KeepFromLast();
  bool KeepsLastSecurity() const;

  const std::string& file_;
  const Manifest* last_;
  const ManifestContext& context_;
  Manifest result_;
  // The last good version of something that cannot be told by name any more
  // must stay.
  bool keep_unnamed_ = false;
};

// ---- text ----

// The number after "line " in an error of ParseYaml, and what follows it.
std::pair<int, std::string> SplitPosition(const base::Status& status) {
  const std::string message(status.message());
  int line = 0;
  size_t at = std::string_view("line ").size();
  while (at < message.size() && std::isdigit(message[at])) {
    line = line * 10 + (message[at++] - '0');
  }
  at = message.find_first_not_of(", ", at);
  return {line, at == std::string::npos ? message : message.substr(at)};
}

Problem SyntaxProblem(const std::string& file, const base::Status& status,
                      int first_line) {
  const auto [line, reason] = SplitPosition(status);
  return {file,  first_line + line,
          "",    base::StrCat("not well-formed YAML: ", reason),
          false, true};
}

void Reader::ReadText(std::string_view text) {
  const base::Status whole =
      base::ParseYaml(text, [this](const base::YamlDocument& document) {
        ReadDocument(document, 0);
      });
  if (whole.ok()) {
    result_.parsed = true;
    return;
  }
  // What comes before the flaw does not count by itself.
  result_ = Manifest();
  keep_unnamed_ = false;
  if (last_ == nullptr || !last_->parsed) {
    ReadPiecewise(text, whole);
    return;
  }
  result_ = *last_;
  result_.problems.clear();
  Problem problem = SyntaxProblem(file_, whole, 0);
  problem.reason += "; the last good version of the file stays in force";
  result_.problems.push_back(std::move(problem));
}

// Nothing good is known of the file: each of its documents for itself.
void Reader::ReadPiecewise(std::string_view text, const base::Status& whole) {
  const std::string_view all = text;
  bool found = false;
  int line = 0;
  while (!text.empty()) {
    size_t end = 0;
    int lines = 0;
    do {  // to the next document's first line
      end = std::min(text.find('\n', end), text.size() - 1) + 1;
      ++lines;
    } while (end < text.size() && !base::StartsYamlDocument(text.substr(end)));
    const std::string_view piece = text.substr(0, end);
    const auto documents = base::ParseYaml(piece);
    if (documents.ok()) {
      for (const base::YamlDocument& document : *documents) {
        ReadDocument(document, line);
      }
    } else {
      found = true;
      ReportSyntax(piece, documents.status(), line);
    }
    text.remove_prefix(end);
    line += lines;
  }
  if (!found) ReportSyntax(all, whole, 0);
}

void Reader::ReportSyntax(std::string_view text, const base::Status& status,
                          int first_line) {
  Problem problem = SyntaxProblem(file_, status, first_line);
  if (auto closing =
          CloseForText(text, problem.reason, context_.root_namespace)) {
    Close(*std::move(closing), std::move(problem));
  } else {
    result_.problems.push_back(std::move(problem));
  }
}

// ---- documents and lists ----

void Reader::ReadDocument(const base::YamlDocument& document, int first_line) {
  ReadValue(document.value, {&document, "", first_line}, "", "");
}

// `list_version` and `list_kind`: what an item that names neither is.
void Reader::ReadValue(const base::Json& value, const Place& place,
                       const std::string& list_version,
                       const std::string& list_kind) {
  const std::string kind = base::GetString(value, "kind", list_kind);
  const std::string version =
      base::GetString(value, "apiVersion", list_version);
  if (!value.is_object() || kind.empty() || version.empty()) {
    ReportUnknown(value, place,
                  !value.is_object() ? "not a Kubernetes object"
                  : kind.empty()     ? "not a Kubernetes object: kind is "
                                       "missing or not a string"
                                     : "not a Kubernetes object: apiVersion is "
                                       "missing or not a string");
    return;
  }
  const base::Json& items = base::GetMember(value, "items");
  if (kind.ends_with("List") && (items.is_array() || items.is_null())) {
    const bool plain = kind == "List";
    int index = 0;
    for (const base::Json& item : items) {
      Place inner = place;
      inner.pointer += "/items/" + std::to_string(index++);
      ReadValue(item, inner, plain ? "" : version,
                plain ? "" : kind.substr(0, kind.size() - 4));
    }
    return;
  }
  if (IsKnown(kind, version)) {
    ReadObject(value, place, kind);
  } else if (IsSecurityKind(kind) && version.starts_with(kSecurityGroup)) {
    ReportUnknown(value, place,
                  base::StrCat("apiVersion ", version,
                               " is not known; use security.istio.io/v1"));
  } else if (IsNetworking(kind) && version.starts_with(kNetworkGroup)) {
    ReportUnknown(value, place,
                  base::StrCat("apiVersion ", version,
                               " is not known; use networking.istio.io/v1"));
  } else if (kind == "List" || (kind.ends_with("List") &&
                                OfKnownKind(kind.substr(0, kind.size() - 4)))) {
    ReportUnknown(value, place, "/items: must be a list");
  } else {
    ++result_.ignored_kinds[kind];
  }
}

// Something of which the kind, or more, cannot be known.
void Reader::ReportUnknown(const base::Json& value, const Place& place,
                           const std::string& reason) {
  keep_unnamed_ = true;
  Problem problem{file_, place.LineOf(""), "", reason, false, true};
  const std::string kind = base::GetString(value, "kind");
  const bool security =
      IsSecurityKind(kind) || kind == "PeerAuthenticationList" ||
      kind == "AuthorizationPolicyList" ||
      base::GetString(value, "apiVersion").starts_with(kSecurityGroup);
  if (security && !KeepsLastSecurity()) {
    Close(CloseForBroken(value, kind.empty() ? "security object" : kind, reason,
                         context_.root_namespace),
          std::move(problem));
  } else {
    result_.problems.push_back(std::move(problem));
  }
}

// Puts `closing` in the place of what `problem` tells of.
void Reader::Close(model::ClosingPolicy closing, Problem problem) {
  problem.closes = true;
  problem.reason += kUntilMended;
  result_.objects.push_back(
      {closing.kind,
       closing.name_space,
       closing.name,
       problem.line,
       false,
       std::make_shared<const model::ClosingPolicy>(std::move(closing)),
       {std::move(problem)}});
}

// ---- objects ----

Object::Content Reader::ReadContent(const Field& root, const std::string& kind,
                                    const Metadata& metadata, int line) {
  if (kind == "Namespace") {
    return std::make_shared<const Namespace>(Namespace{
        metadata.name, ReadOptIn(root["metadata"]["labels"], true),
        ReadRequiresMtls(root["metadata"]["labels"]), metadata.labels});
  }
  if (kind == "Pod") {
    return std::make_shared<Pod>(
        ReadPod(root, metadata, context_.trust_domain));
  }
  if (kind == "Service") {
    return std::make_shared<const Service>(ReadService(root, metadata));
  }
  if (kind == "EndpointSlice") {
    return std::make_shared<const EndpointSlice>(
        ReadEndpointSlice(root, metadata));
  }
  if (IsFileSet(kind)) return ReadFileSet(root, metadata, kind);
  if (kind == "NetworkPolicy") {
    return std::make_shared<const model::NetworkPolicy>(
        ReadNetworkPolicy(root, metadata));
  }
  if (kind == "ServiceEntry") {
    return std::make_shared<const ServiceEntry>(
        ReadServiceEntry(root, metadata));
  }
  if (kind == "DestinationRule") {
    auto rule = std::make_shared<model::DestinationRule>(
        ReadDestinationRule(root, metadata));
    rule->file = file_;
    rule->line = line;
    return rule;
  }
  if (kind == "PeerAuthentication") {
    auto policy = std::make_shared<model::PeerAuthentication>(
        ReadPeerAuthentication(root, metadata, context_.root_namespace));
    policy->file = file_;
    policy->line = line;
    return std::shared_ptr<const model::PeerAuthentication>(std::move(policy));
  }
  auto policy = std::make_shared<model::AuthorizationPolicy>(
      ReadAuthorizationPolicy(root, metadata, context_.root_namespace));
  policy->file = file_;
  policy->line = line;
  return policy;
}

void Reader::ReadObject(const base::Json& value, const Place& place,
                        const std::string& kind) {
  // An ExternalName Service is a DNS alias: it has no address to route.
  if (kind == "Service" && base::GetString(base::GetMember(value, "spec"),
                                           "type") == "ExternalName") {
    ++result_.ignored_kinds["Service of type ExternalName"];
    return;
  }
  Findings findings;
  const Field root(value, "", &findings);
  const Metadata metadata = ReadMetadata(root);
  Object object;
  object.kind = kind;
  object.name_space = kind == "Namespace" ? "" : metadata.name_space;
  object.name = metadata.name;
  object.line = place.LineOf("");
  object.content = ReadContent(root, kind, metadata, object.line);
  Keep(std::move(object), value, place, findings);
}

// Is it a rule of which nobody can tell what it was to secure, but where?
bool RefusesItsHost(const Object& object) {
  const auto* rule = std::get_if<std::shared_ptr<const model::DestinationRule>>(
      &object.content);
  return rule != nullptr && !(*rule)->host.empty();
}

// REQUIRES: RefusesItsHost(object).
std::shared_ptr<const model::DestinationRule> Refusing(const Object& object,
                                                       const Finding& why) {
  auto rule = std::make_shared<model::DestinationRule>(
      *std::get<std::shared_ptr<const model::DestinationRule>>(object.content));
  rule->broken = base::StrCat(why.pointer, ": ", why.reason);
  rule->tls.reset();
  rule->port_tls.clear();
  return rule;
}

// Decides what stands: the new version, the last good one, the part that can
// be used, what closes in its stead, or nothing.
void Reader::Keep(Object object, const base::Json& value, const Place& place,
                  const Findings& findings) {
  const Severity worst = Worst(findings);
  const bool flawed = worst != Severity::kNote;
  const bool broken = worst == Severity::kFatal;
  const Object* const last_good = flawed ? LastGood(object) : nullptr;
  if (object.name.empty()) keep_unnamed_ = true;
  const bool closes = broken && IsSecurityKind(*object.kind) &&
                      last_good == nullptr &&
                      !(object.name.empty() && KeepsLastSecurity());
  const bool refuses = broken && last_good == nullptr && RefusesItsHost(object);
  const std::string_view outcome =
      last_good != nullptr ? "; the last good version stays in force"
      : refuses            ? kRefusedUntilMended
      : closes             ? kUntilMended
      : broken             ? "; the object is not used"
                           : "; that part is left out";
  for (const Finding& finding : findings) {
    const bool note = finding.severity == Severity::kNote;
    object.notes.push_back({file_, place.LineOf(finding.pointer),
                            object.Title(),
                            base::StrCat(finding.pointer, ": ", finding.reason,
                                         note ? std::string_view() : outcome),
                            (closes || refuses) && !note, !note});
  }
  if (last_good != nullptr || (broken && !closes && !refuses)) {
    result_.problems.insert(result_.problems.end(), object.notes.begin(),
                            object.notes.end());
    if (last_good != nullptr) result_.objects.push_back(*last_good);
    return;
  }
  object.good = !flawed;
  if (refuses) object.content = Refusing(object, findings.front());
  if (closes) {
    object.content = std::make_shared<const model::ClosingPolicy>(
        CloseForBroken(value, object.kind,
                       base::StrCat("it is broken: ", findings.front().pointer,
                                    ": ", findings.front().reason),
                       context_.root_namespace));
  }
  result_.objects.push_back(std::move(object));
}

const Object* Reader::LastGood(const Object& object) const {
  if (last_ == nullptr || object.name.empty()) return nullptr;
  for (const Object& candidate : last_->objects) {
    if (candidate.good && candidate.Key() == object.Key()) return &candidate;
  }
  return nullptr;
}

// Is there a good security object of the last version that will stay, because
// nobody can tell whether it is the broken one?
bool Reader::KeepsLastSecurity() const {
  return last_ != nullptr &&
         std::any_of(last_->objects.begin(), last_->objects.end(),
                     [](const Object& object) {
                       return object.good && IsSecurityKind(*object.kind);
                     });
}

// Unchanged pods keep their address, so that what is built from them does.
void ShareUnchanged(const std::vector<Object>& last,
                    std::vector<Object>* objects) {
  std::map<std::pair<std::string_view, std::string_view>,
           const std::shared_ptr<Pod>*>
      pods;
  for (const Object& object : last) {
    if (const auto* pod = std::get_if<std::shared_ptr<Pod>>(&object.content)) {
      pods.emplace(std::pair(std::string_view(*object.name_space),
                             std::string_view(object.name)),
                   pod);
    }
  }
  for (Object& object : *objects) {
    auto* pod = std::get_if<std::shared_ptr<Pod>>(&object.content);
    if (pod == nullptr) continue;
    const auto found = pods.find({*object.name_space, object.name});
    if (found != pods.end() && ReadAlike(**found->second, **pod)) {
      *pod = *found->second;
    }
  }
}

Manifest Reader::Take() && {
  if (last_ != nullptr) KeepFromLast();
  result_.objects.shrink_to_fit();
  return std::move(result_);
}

void Reader::KeepFromLast() {
  if (keep_unnamed_) {
    std::set<decltype(Object().Key())> restated;
    for (const Object& object : result_.objects) restated.insert(object.Key());
    std::vector<Object> kept;
    for (const Object& object : last_->objects) {
      if (object.good && !restated.contains(object.Key())) {
        kept.push_back(object);
      }
    }
    result_.objects.insert(result_.objects.end(), kept.begin(), kept.end());
  }
  ShareUnchanged(last_->objects, &result_.objects);
}

}  // namespace

Manifest ReadApiObject(base::Json object, const Manifest* last,
                       const ManifestContext& context) {
  static const std::string* const kPlace = new std::string("Kubernetes API");
  const base::YamlDocument document{std::move(object), 0, {}};
  Reader reader(*kPlace, last, context);
  reader.ReadDocument(document, 0);
  Manifest manifest = std::move(reader).Take();
  manifest.place = kPlace;
  return manifest;
}

bool ReadAlike(const Pod& a, const Pod& b) {
  model::Workload made = *b.workload;
  made.membership = a.workload->membership;
  made.membership_reason = a.workload->membership_reason;
  made.opted_in = a.workload->opted_in;
  made.requires_mtls = a.workload->requires_mtls;
  return made == *a.workload && a.opt_in == b.opt_in &&
         a.host_network == b.host_network && a.sidecar == b.sidecar &&
         a.ended == b.ended && a.awaits_mark == b.awaits_mark;
}

std::string Object::Title() const {
  std::string title = kind;
  if (name.empty()) return title;
  title += ' ';
  if (!name_space->empty()) base::StrAppend(&title, *name_space, "/");
  return title + name;
}

Manifest ReadManifest(const std::string& file, std::string_view text,
                      const Manifest* last, const ManifestContext& context) {
  Reader reader(file, last, context);
  reader.ReadText(text);
  return std::move(reader).Take();
}

}  // namespace nodeward::discovery
