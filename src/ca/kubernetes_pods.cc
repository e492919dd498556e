// SPDX-License-Identifier: Apache-2.0
#include "ca/kubernetes_pods.h"

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "ca/pods.h"
#include "discovery/once.h"

namespace nodeward::ca {
namespace {

// Pods of one ServiceAccount on one node; a page of them is some 2 MB at most.
constexpr int kPage = 100;
constexpr int kMaxPages = 50;

std::string NamespacePath(const std::string& name) {
  return base::StrCat("/api/v1/namespaces/", PercentEncode(name));
}

base::Status Unknown() {
  // Which server, and what it thinks of us, is no stranger's business.
  return absl::UnavailableError("pods could not be looked up (try again)");
}

}  // namespace

std::string PercentEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                       c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

base::StatusOr<std::string> KubernetesPods::Ask(const std::string& path) const {
  auto answer = get_(path);
  std::string reason;
  if (!answer.ok()) {
    reason = std::string(answer.status().message());
  } else if (answer->first == 200) {
    return std::move(answer->second);
  } else if (answer->first == 404) {
    return "";
  } else {
    reason = base::StrCat("HTTP ", answer->first,
                          answer->first == 401 || answer->first == 403
                              ? " (may our ServiceAccount get and list pods, "
                                "and get namespaces?)"
                              : "");
  }
  base::LogWarn("pods not looked up", {{"path", path}, {"reason", reason}});
  return Unknown();
}

base::StatusOr<std::vector<std::string>> KubernetesPods::AskPages(
    const std::string& path) const {
  std::vector<std::string> pages;
  std::string next;
  do {
    NODEWARD_ASSIGN(
        std::string text,
        Ask(base::StrCat(
            path, "&limit=", kPage,
            next.empty() ? ""
                         : base::StrCat("&continue=", PercentEncode(next)))));
    const auto list = base::ParseJson(text);
    if (!list.ok()) return Unknown();
    next = base::GetString(base::GetMember(*list, "metadata"), "continue");
    pages.push_back(std::move(text));
  } while (!next.empty() && pages.size() < kMaxPages);
  return pages;
}

base::StatusOr<PodDirectory::Pod> KubernetesPods::Find(
    const std::string& name_space, const std::string& name) const {
  NODEWARD_ASSIGN(std::string text,
                  Ask(base::StrCat(NamespacePath(name_space), "/pods/",
                                   PercentEncode(name))));
  if (text.empty()) return Pod();
  return Pods(discovery::ReadTexts(
                  {std::move(text)},
                  {.directory = "the API", .trust_domain = trust_domain_}))
      .Find(name_space, name);
}

base::StatusOr<PodDirectory::Pod> KubernetesPods::OnNode(
    const std::string& node, const model::Identity& identity) const {
  const std::string path = NamespacePath(identity.name_space);
  NODEWARD_ASSIGN(std::vector<std::string> texts,
                  AskPages(base::StrCat(
                      path, "/pods?fieldSelector=",
                      PercentEncode(base::StrCat("spec.nodeName=", node,
                                                 ",spec.serviceAccountName=",
                                                 identity.service_account)))));
  // Its labels opt pods in.
  NODEWARD_ASSIGN(std::string name_space, Ask(path));
  if (!name_space.empty()) texts.push_back(std::move(name_space));
  return Pods(discovery::ReadTexts(texts, {.directory = "the API",
                                           .trust_domain = trust_domain_}))
      .OnNode(node, identity);
}

}  // namespace nodeward::ca
