// SPDX-License-Identifier: Apache-2.0
#include "admin/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "admin/readiness.h"
#include "base/fd.h"
#include "base/text.h"

namespace nodeward::admin {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpServerTest : public ::testing::Test {
 protected:
  void StartServer(const std::string& address = "127.0.0.1",
                   absl::Duration deadline = absl::Seconds(30)) {
    HttpServer::Options options;
    options.address = *base::IpAddress::Parse(address);
    options.deadline = deadline;
    const auto metrics = [] {
      return HttpServer::Response{.content_type = "text/plain; version=0.0.4",
                                  .body = "up 1\n"};
    };
    auto server = HttpServer::Start(
        options,
        {{"/metrics", metrics},
         {"/stats/prometheus", metrics},
         {"/big",
          [] {
            return HttpServer::Response{.body = std::string(8 << 20, 'x')};
          }},
         {"/healthz/ready", [this] {
            const auto [ready, body] = readiness_.Get();
            return HttpServer::Response{.status = ready ? 200 : 503,
                                        .body = body};
          }}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // What curl prints for `path`: the body, then the status.
  std::string Curl(const std::string& path, const std::string& more = "") {
    const std::string command =
        base::StrCat("curl -s -m 30 -g --noproxy '*' -w '%{http_code}' ", more,
                     " 'http://127.0.0.1:", server_->port(), path, "'");
    std::string out;
    FILE* const pipe = popen(command.c_str(), "r");
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
      out.append(buffer, n);
    }
    EXPECT_EQ(pclose(pipe), 0) << command;
    return out;
  }

  base::Fd Connect() {
    base::Fd fd(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
    return fd;
  }
  static std::string ReadAll(int fd) {
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) {
      all.append(buffer, static_cast<size_t>(n));
    }
    return all;
  }

  Readiness readiness_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, ServesItsPathsAndNothingElse) {
  StartServer();
  EXPECT_EQ(Curl("/metrics"), "up 1\n200");
  EXPECT_EQ(Curl("/stats/prometheus"), "up 1\n200");
  EXPECT_EQ(Curl("/metrics?collect[]=x"), "up 1\n200");
  for (const char* path : {"/", "/metrics/", "/quitquitquit", "/../metrics"}) {
    EXPECT_EQ(Curl(path, "--path-as-is"), "Not Found\n404") << path;
  }
  EXPECT_EQ(Curl("/metrics", "-X POST -d x=y"), "Method Not Allowed\n405");
  EXPECT_EQ(Curl("/metrics", "-X DELETE"), "Method Not Allowed\n405");
}

TEST_F(HttpServerTest, HeadHasNoBody) {
  StartServer();
  const std::string head = Curl("/metrics", "-I");
  EXPECT_THAT(head, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(head, HasSubstr("Content-Type: text/plain; version=0.0.4\r\n"));
  EXPECT_THAT(head, ::testing::EndsWith("\r\n\r\n200"));
}

TEST_F(HttpServerTest, ReadinessFollowsItsState) {
  StartServer();
  EXPECT_EQ(Curl("/healthz/ready"), "not ready\nstarting\n503");
  readiness_.Set({});
  EXPECT_EQ(Curl("/healthz/ready"), "ready\n200");
  readiness_.Set({"broken policy"});
  EXPECT_EQ(Curl("/healthz/ready"), "not ready\nbroken policy\n503");
}

TEST_F(HttpServerTest, ALargeBodyArrivesWhole) {
  StartServer();
  EXPECT_EQ(Curl("/big").size(), (8u << 20) + 3);
}

TEST_F(HttpServerTest, TheUnspecifiedAddressServesIpv4Too) {
  StartServer("::");
  EXPECT_EQ(Curl("/metrics"), "up 1\n200");
}

TEST_F(HttpServerTest, HeadersAreBounded) {
  StartServer();
  EXPECT_THAT(Curl("/metrics", "-H 'X: " + std::string(9000, 'x') + "'"),
              HasSubstr("431"));
  EXPECT_EQ(Curl("/metrics"), "up 1\n200");
}

TEST_F(HttpServerTest, AnEndlessRequestIsCutOff) {
  StartServer();
  const base::Fd fd = Connect();
  const std::string junk(4096, 'x');
  int sent = 0;
  while (sent < 100000 &&
         send(fd.get(), junk.data(), junk.size(), MSG_NOSIGNAL) > 0) {
    ++sent;
  }
  EXPECT_LT(sent, 100000);
}

TEST_F(HttpServerTest, ARequestInPiecesIsPutTogether) {
  StartServer();
  const base::Fd fd = Connect();
  for (const char c : std::string("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")) {
    ASSERT_EQ(send(fd.get(), &c, 1, MSG_NOSIGNAL), 1);
  }
  EXPECT_THAT(ReadAll(fd.get()), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpServerTest, ASilentClientIsCutOff) {
  StartServer("127.0.0.1", absl::Milliseconds(200));
  const base::Fd fd = Connect();
  ASSERT_EQ(send(fd.get(), "GET /", 5, MSG_NOSIGNAL), 5);
  EXPECT_EQ(ReadAll(fd.get()), "");
}

TEST_F(HttpServerTest, IdleClientsDoNotKeepOthersOut) {
  StartServer("127.0.0.1", absl::Minutes(10));
  std::vector<base::Fd> idle;
  for (size_t i = 0; i < HttpServer::kMaxClients + 50; ++i) {
    idle.push_back(Connect());
  }
  EXPECT_EQ(Curl("/metrics"), "up 1\n200");
  // The oldest gave way.
  EXPECT_EQ(ReadAll(idle.front().get()), "");
}

TEST_F(HttpServerTest, StoppingCutsOffWhoIsConnected) {
  StartServer();
  const base::Fd fd = Connect();
  EXPECT_EQ(Curl("/metrics"), "up 1\n200");
  server_.reset();
  EXPECT_EQ(ReadAll(fd.get()), "");
}

TEST_F(HttpServerTest, APortInUseIsNamedWithTheRemedy) {
  base::Fd taken(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(
      bind(taken.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)),
      0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  socklen_t length = sizeof(address);
  getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &length);
  HttpServer::Options options;
  options.address = *base::IpAddress::Parse("127.0.0.1");
  options.port = ntohs(address.sin_port);
  const auto server = HttpServer::Start(options, {});
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(
      std::string(server.status().message()),
      ::testing::AllOf(HasSubstr(base::StrCat("127.0.0.1:", options.port)),
                       HasSubstr("metricsPort"), HasSubstr("in use")));
}

TEST_F(HttpServerTest, APortOfAnotherAgentIsNotShared) {
  HttpServer::Options options;
  options.address = *base::IpAddress::Parse("127.0.0.1");
  const auto first = HttpServer::Start(options, {});
  ASSERT_TRUE(first.ok()) << first.status();
  options.port = (*first)->port();
  EXPECT_THAT(std::string(HttpServer::Start(options, {}).status().message()),
              HasSubstr("maybe another agent"));
  // Who takes over on purpose can.
  base::Fd next(socket(AF_INET, SOCK_STREAM, 0));
  const int on = 1;
  setsockopt(next.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(options.port);
  ASSERT_EQ(
      bind(next.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)),
      0);
  EXPECT_EQ(listen(next.get(), 1), 0);
}

TEST_F(HttpServerTest, ASocketIsHandedOver) {
  HttpServer::Options options;
  options.address = *base::IpAddress::Parse("127.0.0.1");
  auto first = *HttpServer::Start(options, {});
  options.port = first->port();
  base::Fd twice(fcntl(first->listener(), F_DUPFD_CLOEXEC, 0));
  auto next = HttpServer::Adopt(std::move(twice), options, {});
  ASSERT_TRUE(next.ok()) << next.status();
  first.reset();
  EXPECT_EQ((*next)->port(), options.port);
  EXPECT_FALSE(HttpServer::Start(options, {}).ok());
}

TEST_F(HttpServerTest, AnAddressThatIsNotOursIsNamed) {
  HttpServer::Options options;
  options.address = *base::IpAddress::Parse("192.0.2.1");
  EXPECT_THAT(std::string(HttpServer::Start(options, {}).status().message()),
              HasSubstr("192.0.2.1:0"));
}

TEST(RespondToTest, WhatIsNoRequestIsABadOne) {
  for (const char* head :
       {"\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        "GET / SPDY/3\r\n\r\n", "\x16\x03\x01\r\n\r\n"}) {
    EXPECT_EQ(RespondTo(head, {}).status, 400) << head;
  }
  EXPECT_EQ(RespondTo("GET / HTTP/1.0\r\n\r\n", {}).status, 404);
}

}  // namespace
}  // namespace nodeward::admin
