// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "base/text.h"
#include "capture/loop_thread.h"
#include "kube/http_client.h"
#include "pki/command.h"
#include "pki/forge.h"

namespace nodeward::kube {

// An HTTPS server that answers as files say: "<folder>/<METHOD> <path, slashes
// as ~>" holds the status, a line of headers as JSON, and the body, which goes
// on for ever where its last line is "...". It notes what it was asked. Where
// the status is 101 the body is a list of messages of a WebSocket, each a
// channel and a text; [-1] is the end of the connection without a word.
constexpr char kApiServer[] = R"(
import base64, hashlib, http.server, json, os, ssl, sys, threading
folder = sys.argv[1]
lock = threading.Lock()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        with lock, open(folder + "/requests", "a") as file:
            file.write(" ".join([self.command, self.path,
                self.headers["Authorization"] or self.client_name(),
                self.headers["Content-Type"] or "-", body.decode()]) + "\n")
        name = self.command + " " + self.path.split("?")[0].replace("/", "~")
        try:
            with open(folder + "/" + name) as file:
                status, headers, text = file.read().split("\n", 2)
        except FileNotFoundError:
            status, headers, text = 404, "{}", "nothing here"
        if status == "101":
            return self.speak(json.loads(text))
        self.send_response(int(status))
        for key, value in json.loads(headers).items():
            self.send_header(key, value)
        if text.endswith("...\n"):
            self.end_headers()
            self.wfile.write(text[:-4].encode())
            self.wfile.flush()
            threading.Event().wait()
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def client_name(self):
        shown = self.connection.getpeercert() or {"subject": ((("-", "-"),),)}
        return shown["subject"][0][0][1]
    def speak(self, messages):
        key = (self.headers["Sec-WebSocket-Key"] +
               "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(
            hashlib.sha1(key).digest()).decode())
        self.send_header("Sec-WebSocket-Protocol", self.headers[
            "Sec-WebSocket-Protocol"].split(",")[0])
        self.end_headers()
        self.close_connection = True
        for channel, *text in messages:
            if channel < 0:
                return
            payload = bytes([channel]) + text[0].encode()
            self.wfile.write(bytes([0x82, 126]) +
                             len(payload).to_bytes(2, "big") + payload)
        self.wfile.write(bytes([0x88, 2, 3, 232]))
    do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = answer
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/server.crt", folder + "/server.key")
context.load_verify_locations(folder + "/roots")
context.verify_mode = ssl.CERT_OPTIONAL
server.socket = context.wrap_socket(server.socket, server_side=True,
                                    do_handshake_on_connect=False)
with open(folder + "/port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(folder + "/port.new", folder + "/port")
server.serve_forever()
)";

class ApiTest : public testing::Test {
 protected:
  void SetUp() override {
    const absl::Time now = absl::Now();
    const pki::PrivateKey key = *pki::PrivateKey::GenerateP256();
    const pki::Certificate leaf =
        *pki::SignServer(root_.certificate, root_.key, key.native(),
                         {.dns = {"localhost"}, .addresses = {}},
                         {.not_before = now - absl::Minutes(1),
                          .not_after = now + absl::Hours(1)});
    pki::Spill(folder_ / "server.crt", leaf.ToPem());
    pki::Spill(folder_ / "server.key", *key.ToPem());
    pki::Spill(folder_ / "roots", root_.certificate.ToPem());
    pki::Spill(folder_ / "token", "first\n");
    StartServer();
    MakeClient({});
  }
  void TearDown() override {
    loop_.Do([this] { client_.reset(); });
    StopServer(SIGKILL);
  }

  void StartServer() {
    const std::string script = pki::Spill(folder_ / "server.py", script_);
    const char* const arguments[] = {"/usr/bin/python3", script.c_str(),
                                     folder_.path().c_str(), nullptr};
    ASSERT_EQ(posix_spawn(&server_, arguments[0], nullptr, nullptr,
                          const_cast<char**>(arguments), environ),
              0);
    Await([this] { return !pki::Slurp(folder_ / "port").empty(); });
    url_ = "https://localhost:" + pki::Slurp(folder_ / "port");
  }
  void StopServer(int how) {
    kill(server_, how);
    if (how == SIGKILL) waitpid(server_, nullptr, 0);
  }
  // `options`: their times.
  void MakeClient(HttpClient::Options options) {
    options.server = url_;
    options.ca = folder_ / "roots";
    options.token = folder_ / "token";
    loop_.Do([&] {
      client_.reset();
      client_ = HttpClient::Create(loop_.loop(), options).value();
    });
  }
  // What is answered to "GET /path" from now on.
  void Set(const std::string& request, int status, const std::string& body,
           const std::string& headers = "{}") {
    std::string name = request;
    std::replace(name.begin(), name.end(), '/', '~');
    pki::Spill(folder_ / "answer.new",
               base::StrCat(status, "\n", headers, "\n", body));
    ASSERT_EQ(
        rename((folder_ / "answer.new").c_str(), (folder_ / name).c_str()), 0);
  }
  std::string Requests() { return pki::Slurp(folder_ / "requests"); }
  HttpClient::Answer Ask(const HttpClient::Request& request) {
    std::promise<HttpClient::Answer> answer;
    loop_.Do([&] {
      client_->Ask(request, [&](HttpClient::Answer got) {
        answer.set_value(std::move(got));
      });
    });
    return answer.get_future().get();
  }
  // Until `good` says so, on this thread.
  static void Await(const std::function<bool()>& good) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (!good()) {
      ASSERT_LT(absl::Now(), deadline);
      absl::SleepFor(absl::Milliseconds(5));
    }
  }
  // The same on the loop's.
  void AwaitOnLoop(const std::function<bool()>& good) {
    Await([&] {
      bool yes = false;
      loop_.Do([&] { yes = good(); });
      return yes;
    });
  }

  const char* script_ = kApiServer;  // what answers
  const pki::Root root_ = pki::NewRoot();
  pki::TempFolder folder_;
  pid_t server_ = -1;
  std::string url_;
  capture::LoopThread loop_;
  std::unique_ptr<HttpClient> client_;
};

}  // namespace nodeward::kube
