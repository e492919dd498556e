// SPDX-License-Identifier: Apache-2.0
#include "model/destination_rule.h"

#include <algorithm>

namespace nodeward::model {

std::string_view ClientTlsModeText(ClientTls::Mode mode) {
  switch (mode) {
    case ClientTls::Mode::kDisable:
      return "DISABLE";
    case ClientTls::Mode::kSimple:
      return "SIMPLE";
    case ClientTls::Mode::kMutual:
      return "MUTUAL";
    case ClientTls::Mode::kIstioMutual:
      return "ISTIO_MUTUAL";
  }
  return "unknown";
}

bool DestinationRule::VisibleIn(std::string_view client_namespace) const {
  // Its own namespace sees it always, whatever exportTo says.
  return export_to.empty() || client_namespace == name_space ||
         std::any_of(export_to.begin(), export_to.end(),
                     [&](const std::string& each) {
                       return each == "*" || each == client_namespace;
                     });
}

bool DestinationRule::Covers(std::string_view covered) const {
  const std::string_view pattern = host;
  if (!pattern.starts_with('*')) return pattern == covered;
  const std::string_view suffix = pattern.substr(1);
  return covered.size() >= suffix.size() && covered.ends_with(suffix);
}

const ClientTls* DestinationRule::TlsFor(uint16_t port) const {
  const auto found = port_tls.find(port);
  const auto& settings = found == port_tls.end() ? tls : found->second;
  return settings.has_value() ? &*settings : nullptr;
}

bool DestinationRule::Secures() const {
  const auto secures = [](const std::optional<ClientTls>& settings) {
    return settings.has_value() && settings->mode != ClientTls::Mode::kDisable;
  };
  return !broken.empty() || secures(tls) ||
         std::any_of(port_tls.begin(), port_tls.end(),
                     [&](const auto& entry) { return secures(entry.second); });
}

}  // namespace nodeward::model
