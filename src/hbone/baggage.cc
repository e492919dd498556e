// SPDX-License-Identifier: Apache-2.0
#include "hbone/baggage.h"

#include <algorithm>
#include <string_view>

#include "base/text.h"

namespace nodeward::hbone {
namespace {

// There is no escaping in this header: what could be read as more than a name
// is left out.
bool IsPlainName(std::string_view value) {
  return !value.empty() &&
         std::all_of(value.begin(), value.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

std::vector<http::Header> SourceHeaders(const base::Endpoint& client,
                                        const model::Workload& source) {
  std::string baggage;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (!IsPlainName(value)) return;
    if (!baggage.empty()) baggage += ',';
    base::StrAppend(&baggage, key, "=", value);
  };
  add("k8s.namespace.name", source.name_space);
  // The owner's kind is not known here; "deployment" is what ztunnel's
  // receivers take for the workload's name in most meshes.
  add("k8s.deployment.name", *source.workload_name);
  add("service.name", *source.canonical_service);
  add("service.version", *source.canonical_revision);
  std::vector<http::Header> headers;
  headers.push_back(
      {"forwarded", base::StrCat("for=\"", client.ToString(), "\"")});
  if (!baggage.empty()) headers.push_back({"baggage", std::move(baggage)});
  return headers;
}

}  // namespace nodeward::hbone
