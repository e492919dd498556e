// SPDX-License-Identifier: Apache-2.0
#include "ca/https_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "pki/command.h"
#include "pki/forge.h"

namespace nodeward::ca {
namespace {

using pki::Slurp;
using pki::Spill;
using testing::HasSubstr;

// An HTTPS server that answers with the request's token and body.
constexpr char kServer[] = R"(
import http.server, ssl, sys, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        answer = (self.headers["Authorization"] + " got " + self.path).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "https://localhost:1/")
            answer = b""
        elif self.path == "/endless":
            self.send_response(200)
            answer = b"x" * (5 << 20)
        else:
            self.send_response(201)
            answer = (self.headers["Authorization"] + " " + self.path + " "
                      + str(self.client_address[1]) + " ").encode() + body
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_): pass
folder = sys.argv[1]
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/server.crt", folder + "/server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
with open(folder + "/port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(folder + "/port.new", folder + "/port")
server.serve_forever()
)";

class HttpsClientTest : public testing::Test {
 protected:
  void SetUp() override {
    const absl::Time now = absl::Now();
    const pki::PrivateKey key = *pki::PrivateKey::GenerateP256();
    const pki::Certificate leaf =
        *pki::SignServer(root_.certificate, root_.key, key.native(),
                         {.dns = {"localhost"}, .addresses = {}},
                         {.not_before = now - absl::Minutes(1),
                          .not_after = now + absl::Hours(1)});
    Spill(folder_ / "server.crt", leaf.ToPem());
    Spill(folder_ / "server.key", *key.ToPem());
    Spill(folder_ / "roots", root_.certificate.ToPem());
    Spill(folder_ / "token", "first\n");
    const std::string script = Spill(folder_ / "server.py", kServer);
    const char* const arguments[] = {"/usr/bin/python3", script.c_str(),
                                     folder_.path().c_str(), nullptr};
    ASSERT_EQ(posix_spawn(&server_, arguments[0], nullptr, nullptr,
                          const_cast<char**>(arguments), environ),
              0);
    const absl::Time deadline = now + absl::Seconds(60);
    std::string port;
    while (port.empty() && absl::Now() < deadline) {
      port = Slurp(folder_ / "port");
      absl::SleepFor(absl::Milliseconds(5));
    }
    ASSERT_FALSE(port.empty());
    url_ = "https://localhost:" + port;
  }
  void TearDown() override {
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
  }
  HttpsClient::Options Options() const {
    return {.server = url_,
            .ca_file = folder_ / "roots",
            .token_file = folder_ / "token",
            .deadline = absl::Seconds(30)};
  }

  const pki::Root root_ = pki::NewRoot();
  pki::TempFolder folder_;
  pid_t server_ = -1;
  std::string url_;
};

TEST_F(HttpsClientTest, SendsOurTokenOfNowOverOneConnection) {
  HttpsClient client(Options());
  auto answer = client.Post("/a", "{}");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 201);
  EXPECT_THAT(answer->body, testing::StartsWith("Bearer first /a "));
  EXPECT_THAT(answer->body, testing::EndsWith(" {}"));
  const std::string port = answer->body.substr(16);
  Spill(folder_ / "token", "second\n");
  answer = client.Post("/a", "{}");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->body, "Bearer second /a " + port);
}

TEST_F(HttpsClientTest, GetsAfterAPostOnTheSameConnection) {
  HttpsClient client(Options());
  ASSERT_TRUE(client.Post("/a", "{}").ok());
  const auto answer = client.Get("/b?limit=1&fieldSelector=a%3Db");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "Bearer first got /b?limit=1&fieldSelector=a%3Db");
}

TEST_F(HttpsClientTest, StrangersGetNoToken) {
  Spill(folder_ / "roots", pki::NewRoot().certificate.ToPem());
  HttpsClient client(Options());
  const auto answer = client.Post("/a", "{}");
  EXPECT_TRUE(absl::IsUnavailable(answer.status()));
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("certificate"));
  HttpsClient::Options options = Options();
  Spill(folder_ / "roots", root_.certificate.ToPem());
  options.server = "https://127.0.0.1" + url_.substr(17);  // not its name
  EXPECT_TRUE(
      absl::IsUnavailable(HttpsClient(options).Post("/a", "{}").status()));
}

TEST_F(HttpsClientTest, NoRedirectNoFloodNoPlaintext) {
  HttpsClient client(Options());
  const auto redirected = client.Post("/redirect", "{}");
  ASSERT_TRUE(redirected.ok());
  EXPECT_EQ(redirected->status, 302);
  EXPECT_TRUE(absl::IsUnavailable(client.Post("/endless", "{}").status()));
  HttpsClient::Options options = Options();
  options.server = "http" + url_.substr(5);
  EXPECT_TRUE(
      absl::IsUnavailable(HttpsClient(options).Post("/a", "{}").status()));
}

TEST_F(HttpsClientTest, NobodyThereAndNoToken) {
  HttpsClient::Options options = Options();
  options.server = "https://localhost:1";
  EXPECT_TRUE(
      absl::IsUnavailable(HttpsClient(options).Post("/a", "{}").status()));
  options = Options();
  options.token_file = folder_ / "none";
  EXPECT_TRUE(absl::IsNotFound(HttpsClient(options).Post("/a", "{}").status()));
}

}  // namespace
}  // namespace nodeward::ca
