// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http/gateway.h"

namespace nodeward::http {

// A gateway between two strings. It is offered bytes as the engine would: what
// it does not take is kept and offered again when something has changed.
class GatewayDriver final : private GatewayUser {
 public:
  // Rules on a request; without it all are forwarded.
  std::function<Ruling(RequestHead*)> judge;
  std::string certificate;

  void Client(std::string_view bytes) {
    pending_ += bytes;
    Advance();
  }
  void Application(std::string_view bytes) {
    if (gateway.broken()) return;
    const size_t taken = gateway.FromApplication(base::AsBytes(bytes));
    to_client += bytes.substr(0, taken);
    Advance();
  }

  std::string to_application;
  std::string to_client;
  int requests = 0;
  Gateway gateway{this};
  std::string_view pending() const { return pending_; }

 private:
  void Advance() {
    for (;;) {
      if (gateway.answered()) {
        to_client += gateway.reply();
        gateway.DropReply(gateway.reply().size());
      }
      if (pending_.empty()) return;
      // From memory of its own size, so that a sanitizer sees what is read
      // beyond it.
      const std::vector<uint8_t> offered(pending_.begin(), pending_.end());
      const size_t taken = gateway.FromClient(offered);
      pending_.erase(0, taken);
      if (taken == 0) return;
    }
  }
  Ruling OnRequest(RequestHead* request) override {
    ++requests;
    return judge ? judge(request) : Ruling::kForward;
  }
  void ToApplication(base::ByteSpan bytes) override {
    to_application += base::AsText(bytes);
  }
  std::string_view client_cert() override { return certificate; }

  std::string pending_;
};

}  // namespace nodeward::http
