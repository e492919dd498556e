// SPDX-License-Identifier: Apache-2.0
#include "model/protocol.h"

#include <gtest/gtest.h>

namespace nodeward::model {
namespace {

TEST(ProtocolTest, ReadsPortDeclarations) {
  const struct {
    const char* app_protocol;
    const char* name;
    Protocol protocol;
    bool no_sniff_wait;
  } rows[] = {
      {"", "", Protocol::kUnknown, false},
      {"", "http", Protocol::kHttp, false},
      {"", "http-web", Protocol::kHttp, false},
      {"", "httpx", Protocol::kUnknown, false},
      {"", "web-http", Protocol::kUnknown, false},
      {"", "http2", Protocol::kHttp2, false},
      {"", "grpc-api", Protocol::kGrpc, false},
      {"", "https", Protocol::kTls, false},
      {"", "tls-db", Protocol::kTls, false},
      {"", "mysql", Protocol::kTcp, true},
      {"", "MySQL-primary", Protocol::kTcp, true},
      {"", "mongo", Protocol::kTcp, true},
      {"", "mongodb", Protocol::kTcp, true},
      {"", "redis", Protocol::kTcp, true},
      {"", "postgres", Protocol::kTcp, true},
      {"", "smtp", Protocol::kTcp, true},
      {"", "amqp", Protocol::kTcp, true},
      {"", "tcp-x", Protocol::kTcp, true},
      {"tcp", "", Protocol::kTcp, true},
      {"TCP", "http", Protocol::kTcp, true},
      {"mysql", "http", Protocol::kTcp, true},
      {"http", "mysql", Protocol::kHttp, false},
      {"kubernetes.io/h2c", "", Protocol::kHttp2, false},
      {"kubernetes.io/ws", "", Protocol::kHttp, false},
      // An application protocol that says nothing to us says more than a name.
      {"example.com/mine", "mysql", Protocol::kUnknown, false},
  };
  for (const auto& row : rows) {
    const PortTraits traits = TraitsOfPort(row.app_protocol, row.name);
    EXPECT_EQ(traits.protocol, row.protocol)
        << row.app_protocol << "|" << row.name;
    EXPECT_EQ(traits.no_sniff_wait, row.no_sniff_wait)
        << row.app_protocol << "|" << row.name;
  }
}

}  // namespace
}  // namespace nodeward::model
