// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "http/spectator.h"

namespace nodeward::http {

// A spectator and what it tells, a line each.
class Watched final : private SpectatorUser {
 public:
  void Client(std::string_view bytes) {
    spectator.FromClient(base::AsBytes(bytes));
  }
  void Server(std::string_view bytes) {
    spectator.FromServer(base::AsBytes(bytes));
  }
  void ClientByByte(std::string_view bytes) {
    for (const char& c : bytes) Client({&c, 1});
  }
  void ServerByByte(std::string_view bytes) {
    for (const char& c : bytes) Server({&c, 1});
  }

  std::vector<std::string> told;
  Spectator spectator{this};

 private:
  void OnRequest(uint64_t exchange, const SeenRequest& request) override {
    told.push_back(base::StrCat(exchange, " ", request.method, " ",
                                request.authority, " ", request.path));
  }
  void OnResponse(uint64_t exchange, int status) override {
    told.push_back(base::StrCat(exchange, " ", status));
  }
  void OnExchangeEnd(uint64_t exchange, const SeenEnd& end) override {
    std::string line = base::StrCat(exchange, " end ", end.length);
    if (end.grpc_status) base::StrAppend(&line, " grpc ", *end.grpc_status);
    if (!end.reset.empty()) base::StrAppend(&line, " ", end.reset);
    told.push_back(std::move(line));
  }
  void OnOpaque() override { told.emplace_back("opaque"); }
};

}  // namespace nodeward::http
