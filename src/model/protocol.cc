// SPDX-License-Identifier: Apache-2.0
#include "model/protocol.h"

#include <array>
#include <string>

namespace nodeward::model {
namespace {

struct Named {
  std::string_view name;
  PortTraits traits;
};

// Of Istio's protocol names and Kubernetes' standard appProtocols, and of the
// servers that greet first. A name that is not here says nothing.
constexpr std::array kNamed = {
    Named{"http", {Protocol::kHttp, false}},
    Named{"http2", {Protocol::kHttp2, false}},
    Named{"h2c", {Protocol::kHttp2, false}},
    Named{"kubernetes.io/h2c", {Protocol::kHttp2, false}},
    Named{"kubernetes.io/ws", {Protocol::kHttp, false}},
    Named{"kubernetes.io/wss", {Protocol::kTls, false}},
    Named{"grpc", {Protocol::kGrpc, false}},
    Named{"https", {Protocol::kTls, false}},
    Named{"tls", {Protocol::kTls, false}},
    Named{"tcp", {Protocol::kTcp, true}},
    Named{"mysql", {Protocol::kTcp, true}},
    Named{"mariadb", {Protocol::kTcp, true}},
    Named{"mongo", {Protocol::kTcp, true}},
    Named{"mongodb", {Protocol::kTcp, true}},
    Named{"redis", {Protocol::kTcp, true}},
    Named{"postgres", {Protocol::kTcp, true}},
    Named{"postgresql", {Protocol::kTcp, true}},
    Named{"amqp", {Protocol::kTcp, true}},
    Named{"smtp", {Protocol::kTcp, true}},
    Named{"ftp", {Protocol::kTcp, true}},
    Named{"imap", {Protocol::kTcp, true}},
    Named{"pop3", {Protocol::kTcp, true}},
    Named{"ssh", {Protocol::kTcp, true}},
    Named{"nats", {Protocol::kTcp, true}},
};

}  // namespace

PortTraits TraitsOfPort(std::string_view app_protocol, std::string_view name) {
  std::string key(app_protocol.empty() ? name.substr(0, name.find('-'))
                                       : app_protocol);
  for (char& c : key) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  for (const Named& named : kNamed) {
    if (named.name == key) return named.traits;
  }
  return {};
}

}  // namespace nodeward::model
