// SPDX-License-Identifier: Apache-2.0
#include "discovery/security.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/text.h"

namespace nodeward::discovery {
namespace {

using model::ClosingPolicy;
using model::MtlsMode;
using model::PeerAuthentication;

MtlsMode ReadMode(const Field& mtls) {
  RefuseUnknown(mtls, {"mode"});
  const Field mode = mtls["mode"];
  if (!mode.present()) return MtlsMode::kUnset;
  const std::string text = mode.Text();
  for (const MtlsMode known : {MtlsMode::kUnset, MtlsMode::kDisable,
                               MtlsMode::kPermissive, MtlsMode::kStrict}) {
    if (text == model::MtlsModeText(known)) return known;
  }
  mode.Flaw("must be UNSET, DISABLE, PERMISSIVE or STRICT");
  return MtlsMode::kUnset;
}

void ReadPortModes(const Field& ports, PeerAuthentication* policy) {
  if (!ports.present()) return;
  if (policy->selector.empty()) {
    ports.Flaw("needs a selector with matchLabels");
  }
  const auto members = ports.Members();
  if (members.empty()) ports.Flaw("must name at least one port");
  for (const auto& [key, member] : members) {
    int number = 0;
    if (!absl::SimpleAtoi(base::ToAbsl(key), &number) || number < 1 ||
        number > 65535) {
      member.Flaw("the key must be a port, 1 to 65535");
      continue;
    }
    policy->port_modes[static_cast<uint16_t>(number)] = ReadMode(member);
  }
}

// ---- for texts that do not parse ----

bool IsValueChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

// What follows `key` and a colon, with or without quotes, anywhere in `text`.
std::set<std::string> FindValues(std::string_view text, std::string_view key) {
  std::set<std::string> values;
  for (size_t at = text.find(key); at != std::string_view::npos;
       at = text.find(key, at + 1)) {
    if (at > 0 && IsValueChar(text[at - 1])) continue;
    std::string_view rest = text.substr(at + key.size());
    const auto skip = [&](std::string_view characters) {
      const size_t next = rest.find_first_not_of(characters);
      rest.remove_prefix(std::min(next, rest.size()));
    };
    skip("\"'");
    skip(" \t");
    if (!rest.starts_with(':')) continue;
    rest.remove_prefix(1);
    skip(" \t\"'");
    size_t end = 0;
    while (end < rest.size() && IsValueChar(rest[end])) ++end;
    values.emplace(rest.substr(0, end));
  }
  return values;
}

std::string WithoutComments(std::string_view text) {
  std::string kept;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view line = text.substr(0, end);
    const size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos || line[first] != '#') kept += line;
    text.remove_prefix(end);
  }
  return kept;
}

}  // namespace

void RefuseUnknown(const Field& object,
                   std::initializer_list<std::string_view> known) {
  for (const auto& [key, member] : object.Members()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      member.Flaw("unknown field");
    }
  }
}

model::Labels ReadSelector(const Field& selector) {
  RefuseUnknown(selector, {"matchLabels"});
  const Field match = selector["matchLabels"];
  const model::Labels labels = match.StringMap();
  for (const auto& [key, value] : labels) {
    if (key.empty()) match.Flaw("a key must not be empty");
    if (key.find('*') != std::string::npos ||
        value.find('*') != std::string::npos) {
      match[key].Flaw("wildcards are not allowed in a selector");
    }
    if (key.size() > 316 || value.size() > 63) {
      match[key].Flaw("longer than a label may be");
    }
  }
  return labels;
}

PeerAuthentication ReadPeerAuthentication(const Field& root,
                                          const Metadata& metadata,
                                          const std::string& root_namespace) {
  PeerAuthentication policy;
  policy.name = metadata.name;
  policy.name_space = metadata.name_space;
  policy.created = metadata.created;
  const Field spec = root["spec"];
  RefuseUnknown(root, {"apiVersion", "kind", "metadata", "spec", "status"});
  RefuseUnknown(spec, {"selector", "mtls", "portLevelMtls"});
  const Field selector = spec["selector"];
  policy.selector = ReadSelector(selector);
  policy.mode = ReadMode(spec["mtls"]);
  ReadPortModes(spec["portLevelMtls"], &policy);
  if (selector.present() && policy.selector.empty()) {
    selector.Note("is empty and counts as none: the policy is for the whole " +
                  std::string(policy.name_space == root_namespace
                                  ? "mesh"
                                  : "namespace"));
  }
  if (!policy.selector.empty() && policy.name_space == root_namespace) {
    selector.Note(
        base::StrCat("the policy has no effect: in the root namespace ",
                     root_namespace, " only one without a selector counts"));
  }
  return policy;
}

ClosingPolicy CloseForBroken(const base::Json& object, std::string kind,
                             std::string reason,
                             const std::string& root_namespace) {
  ClosingPolicy policy;
  policy.kind = std::move(kind);
  policy.reason = std::move(reason);
  Findings findings;
  const Field root(object, "", &findings);
  policy.name_space = root["metadata"]["namespace"].Name("default");
  policy.mesh_wide = !findings.empty() || policy.name_space == root_namespace;
  if (!findings.empty()) policy.name_space.clear();
  findings.clear();
  policy.name = root["metadata"]["name"].Name();
  findings.clear();
  policy.selector = ReadSelector(root["spec"]["selector"]);
  // What is half understood might have selected more.
  if (!findings.empty()) policy.selector.clear();
  return policy;
}

std::optional<ClosingPolicy> CloseForText(std::string_view text,
                                          std::string reason,
                                          const std::string& root_namespace) {
  const std::string kept = WithoutComments(text);
  ClosingPolicy policy;
  for (const char* kind : {"AuthorizationPolicy", "PeerAuthentication"}) {
    if (kept.find(kind) != std::string::npos) policy.kind = kind;
  }
  if (policy.kind.empty()) return std::nullopt;
  const auto names = FindValues(kept, "name");
  if (names.size() == 1 && IsDnsName(*names.begin())) {
    policy.name = *names.begin();
  }
  const auto spaces = FindValues(kept, "namespace");
  if (spaces.size() == 1 && IsDnsName(*spaces.begin())) {
    policy.name_space = *spaces.begin();
  }
  policy.mesh_wide =
      policy.name_space.empty() || policy.name_space == root_namespace;
  policy.reason = std::move(reason);
  return policy;
}

}  // namespace nodeward::discovery
