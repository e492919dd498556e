// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/status.h"

namespace nodeward::admin {

// Serves a few fixed paths to GET over HTTP/1.1, and nothing else (404, 405).
// Each server has one thread and one event loop of its own, so that an
// expensive scrape delays neither traffic nor readiness; no thread ever belongs
// to a client, so that idle or slow ones starve nobody (with a thread a
// connection, a dozen of them would keep the kubelet's probe waiting). A
// connection carries one request.
class HttpServer {
 public:
  static constexpr size_t kMaxRequestBytes = 8 * 1024;
  // Beyond this the connection that has waited longest gives way.
  static constexpr size_t kMaxClients = 256;

  struct Response {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
  };
  // Path -> what answers it, on the server's thread.
  using Routes = std::map<std::string, std::function<Response()>>;

  struct Options {
    // The unspecified IPv6 address means every address of both families, or of
    // IPv4 alone where there is no IPv6.
    base::IpAddress address;
    uint16_t port = 0;  // 0: any free one
    // From accept to the last byte of the reply.
    absl::Duration deadline = absl::Seconds(10);
  };

  // Serves from the return on. An error names the address and the remedy.
  static base::StatusOr<std::unique_ptr<HttpServer>> Start(Options options,
                                                           Routes routes);
  // The same on a socket that another agent hands over; Options::port is that
  // socket's.
  static base::StatusOr<std::unique_ptr<HttpServer>> Adopt(base::Fd listener,
                                                           Options options,
                                                           Routes routes);
  // Stops; open connections are cut off.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  int listener() const;

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What HttpServer answers to a request's head (through its empty line): pure.
HttpServer::Response RespondTo(const std::string& head,
                               const HttpServer::Routes& routes);

}  // namespace nodeward::admin
