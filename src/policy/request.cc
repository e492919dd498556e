// SPDX-License-Identifier: Apache-2.0
#include "policy/request.h"

#include "base/text.h"
#include "policy/path.h"

namespace nodeward::policy {

using model::Attribute;

Facts::Facts(const Connection& connection) : connection_(connection) {
  if (connection.peer.has_value()) {
    principal_ = connection.peer->ToPrincipal();
    account_ = base::StrCat(connection.peer->name_space, "/",
                            connection.peer->service_account);
  }
  if (connection.http != nullptr) {
    host_ = connection.http->host;
    for (char& c : host_) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
  }
}

const std::string_view* Facts::Text(Attribute attribute,
                                    std::string_view name) const {
  const auto& peer = connection_.peer;
  const HttpRequest* const http = connection_.http;
  switch (attribute) {
    case Attribute::kPrincipal:
      if (!peer.has_value()) return nullptr;
      text_ = principal_;
      return &text_;
    case Attribute::kNamespace:
      if (!peer.has_value()) return nullptr;
      text_ = peer->name_space;
      return &text_;
    case Attribute::kServiceAccount:
      if (!peer.has_value()) return nullptr;
      text_ = account_;
      return &text_;
    case Attribute::kTrustDomain:
      if (!peer.has_value()) return nullptr;
      text_ = peer->trust_domain;
      return &text_;
    case Attribute::kSni:
      text_ = connection_.sni;
      return &text_;
    case Attribute::kHost:
      if (http == nullptr) return nullptr;
      text_ = host_;
      return &text_;
    case Attribute::kMethod:
      if (http == nullptr) return nullptr;
      text_ = http->method;
      return &text_;
    case Attribute::kPath:
      if (http == nullptr) return nullptr;
      text_ = BarePath(http->path);
      return &text_;
    case Attribute::kHeader:
      return http == nullptr ? nullptr : Header(name);
    default:
      return nullptr;
  }
}

const std::string_view* Facts::Header(std::string_view name) const {
  const HttpRequest& http = *connection_.http;
  const auto give = [this](std::string_view value) {
    text_ = value;
    return &text_;
  };
  if (name == ":authority" || name == "host") return give(http.host);
  if (name == ":method") return give(http.method);
  if (name == ":path") return give(http.path);
  int found = 0;
  for (const HttpHeader& header : http.headers) {
    if (header.name != name) continue;
    if (++found == 1) {
      text_ = header.value;
      continue;
    }
    // Several lines of one name are one list (RFC 9110 section 5.2).
    if (found == 2) joined_ = text_;
    base::StrAppend(&joined_, ",", header.value);
    text_ = joined_;
  }
  return found == 0 ? nullptr : &text_;
}

}  // namespace nodeward::policy
