// SPDX-License-Identifier: Apache-2.0
#include "cni/https.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "cni/folder.h"

namespace nodeward::cni {
namespace {

using testing::HasSubstr;

// Answers every GET with what it was asked, /missing with 404, and /silent
// never.
constexpr char kServer[] = R"(
import http.server, os, ssl, sys, threading
folder = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/silent":
            threading.Event().wait()
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        self.wfile.write((self.path + " " + self.headers["Authorization"]
                          ).encode() + b"x" * 100000)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/crt", folder + "/key")
server.socket = context.wrap_socket(server.socket, server_side=True,
                                    do_handshake_on_connect=False)
with open(folder + "/port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(folder + "/port.new", folder + "/port")
server.serve_forever()
)";

class HttpsTest : public testing::Test {
 protected:
  // A server whose certificate is for `name`.
  void Serve(const std::string& name) {
    const std::string command = base::StrCat(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        "-days 2 -subj /CN=x -addext subjectAltName=",
        name, " -keyout ", folder_ / "key", " -out ", folder_ / "crt",
        " 2> /dev/null");
    ASSERT_EQ(system(command.c_str()), 0);
    folder_.Write("server.py", kServer);
    const std::string script = folder_ / "server.py";
    const char* const arguments[] = {"/usr/bin/python3", script.c_str(),
                                     folder_.path().c_str(), nullptr};
    ASSERT_EQ(posix_spawn(&server_, arguments[0], nullptr, nullptr,
                          const_cast<char**>(arguments), environ),
              0);
    Await([this] { return !folder_.Read("port").empty(); });
    config_ = {"https://127.0.0.1:" + folder_.Read("port"), folder_.Read("crt"),
               "t0k"};
  }
  ~HttpsTest() override {
    if (server_ <= 0) return;
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
  }
  std::string Error(const std::string& target,
                    absl::Duration patience = absl::Minutes(1)) {
    return HttpsGet(config_, target, patience).status().ToString();
  }

  const Folder folder_;
  pid_t server_ = 0;
  Kubeconfig config_;
};

TEST_F(HttpsTest, GetsWithTheToken) {
  Serve("IP:127.0.0.1");
  const auto answer = HttpsGet(config_, "/a?b", absl::Minutes(1));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200);
  EXPECT_THAT(answer->body, testing::StartsWith("/a?b Bearer t0kxxx"));
  EXPECT_EQ(answer->body.size(), 100000 + strlen("/a?b Bearer t0k"));
  EXPECT_EQ(HttpsGet(config_, "/missing", absl::Minutes(1))->status, 404);
  EXPECT_THAT(Error("/silent", absl::Milliseconds(300)),
              HasSubstr("no answer in time"));
}

TEST_F(HttpsTest, WhoCannotProveItselfHearsNothing) {
  Serve("IP:127.0.0.2");
  EXPECT_THAT(Error("/"), HasSubstr("its certificate is refused: IP address "
                                    "mismatch"));
}

TEST_F(HttpsTest, OnlyItsRootsCount) {
  Serve("IP:127.0.0.1");
  const std::string own = config_.roots;
  ASSERT_EQ(
      system(base::StrCat("openssl req -x509 -newkey ec -pkeyopt "
                          "ec_paramgen_curve:P-256 -nodes -subj /CN=y -keyout ",
                          folder_ / "key2", " -out ", folder_ / "crt2",
                          " 2> /dev/null")
                 .c_str()),
      0);
  config_.roots = folder_.Read("crt2");
  EXPECT_THAT(Error("/"), HasSubstr("its certificate is refused"));
  config_.roots += own;
  EXPECT_THAT(Error("/"), HasSubstr("OK"));
  config_.roots = "none";
  EXPECT_THAT(Error("/"), HasSubstr("no root certificate"));
}

TEST_F(HttpsTest, Servers) {
  config_.server = "http://127.0.0.1";
  EXPECT_THAT(Error("/"), HasSubstr("no https:// address"));
  config_.server = "https://api.example:443";
  EXPECT_THAT(Error("/"), HasSubstr("resolves no names"));
  // Nobody listens there.
  for (const char* server : {"https://127.0.0.1:1", "https://[::1]:1/"}) {
    config_.server = server;
    EXPECT_THAT(Error("/"), HasSubstr("connect: ")) << server;
  }
}

}  // namespace
}  // namespace nodeward::cni
