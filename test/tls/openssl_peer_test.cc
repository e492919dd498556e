// SPDX-License-Identifier: Apache-2.0
//
// The openssl program as the other end, over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "pki/command.h"
#include "tls/loopback.h"
#include "tls/pair.h"

namespace nodeward::tls {
namespace {

using pki::CommandResult;
using pki::RunCommand;
using pki::Spill;
using pki::TempFolder;
using testing::HasSubstr;
using testing::Not;

class OpensslPeerTest : public TlsTest {
 protected:
  OpensslPeerTest() {
    Spill(folder_ / "ca.crt", root.certificate.ToPem());
    SpillCredential("client", *client_credential);
    SpillCredential("server", *server_credential);
  }
  void SpillCredential(const std::string& name,
                       const pki::Credential& credential) {
    Spill(folder_ / (name + ".crt"), credential.leaf().ToPem());
    Spill(folder_ / (name + ".key"), *credential.key.ToPem());
  }
  std::string Files(const std::string& name) const {
    return " -CAfile " + (folder_ / "ca.crt") + " -cert " +
           (folder_ / (name + ".crt")) + " -key " +
           (folder_ / (name + ".key")) + " ";
  }
  // One connection of s_client, which sends "hello", to a session that answers
  // "echo:hello" and closes. Returns what s_client printed.
  std::string SClient(const std::string& arguments) {
    LoopbackListener listener;
    server_.session = MakeSession(MakeContext(Role::kServer, server_credential,
                                              server_bundle, server_options));
    std::thread serving([&] {
      const base::Fd fd = listener.Accept();
      Drive(fd.get(), server_, [this] { return !server_.received.empty(); });
      if (!server_.session->established()) return;
      EXPECT_TRUE(server_.Write("echo:" + server_.received));
      server_.session->Close();
      EXPECT_TRUE(Flush(fd.get(), *server_.session));
    });
    const CommandResult result = RunCommand(
        "echo hello | timeout 25 openssl s_client -ign_eof -connect " +
        listener.address() + " " + arguments);
    serving.join();
    return result.output;
  }

  TempFolder folder_;
  End server_;
};

TEST_F(OpensslPeerTest, SClientTalksWithOurServer) {
  server_options.alpn = Context::Options::Alpn::kIstio;
  const std::string output = SClient(
      "-alpn istio -verify_return_error -purpose sslserver" + Files("client"));
  EXPECT_EQ(server_.received, "hello\n");
  EXPECT_EQ(server_.session->peer(), Id("sleep"));
  EXPECT_EQ(server_.session->alpn(), "istio");
  EXPECT_THAT(output, HasSubstr("echo:hello"));
  EXPECT_THAT(output, HasSubstr("ALPN protocol: istio"));
  EXPECT_THAT(output, HasSubstr("TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256"));
  EXPECT_THAT(output, HasSubstr("Verify return code: 0 (ok)"));
  EXPECT_THAT(output, Not(HasSubstr("New Session Ticket")));
}

// What an operator types to see whether a port is in the mesh.
TEST_F(OpensslPeerTest, SClientWithoutACertificateSeesOursAndIsRefused) {
  server_options.alpn = Context::Options::Alpn::kIstio;
  const std::string output = SClient("-alpn istio");
  EXPECT_THAT(output, HasSubstr(server_credential->leaf().ToPem()));
  EXPECT_THAT(output, HasSubstr("alert certificate required"));
  EXPECT_EQ(server_.step, Step::kFailed);
  EXPECT_EQ(server_.received, "");
  EXPECT_EQ(server_.error(), "verify peer certificate: the peer sent none");
}

TEST_F(OpensslPeerTest, SClientWithoutAlpnIsRefused) {
  const std::string output = SClient(Files("client"));
  EXPECT_THAT(output, HasSubstr("alert no application protocol"));
  EXPECT_EQ(server_.step, Step::kFailed);
}

TEST_F(OpensslPeerTest, SClientOfTls12IsRefused) {
  const std::string output = SClient("-tls1_2 -alpn h2" + Files("client"));
  EXPECT_THAT(output, HasSubstr("alert protocol version"));
}

TEST_F(OpensslPeerTest, OurClientTalksWithSServer) {
  const std::string command =
      "timeout 25 openssl s_server -accept 127.0.0.1:0 -naccept 1 -rev -alpn "
      "h2 -Verify 2 -verify_return_error" +
      Files("server") + "2>&1 < /dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  char line[1024];
  int port = 0;
  while (port == 0 && fgets(line, sizeof(line), pipe) != nullptr) {
    output += line;
    if (const char* colon = strrchr(line, ':');
        colon != nullptr && strncmp(line, "ACCEPT", 6) == 0) {
      port = atoi(colon + 1);
    }
  }
  ASSERT_NE(port, 0) << output;
  End client;
  client.session = MakeSession(
      MakeContext(Role::kClient, client_credential, client_bundle), expected);
  {
    const base::Fd fd = ConnectLoopback(static_cast<uint16_t>(port));
    ASSERT_TRUE(fd.valid());
    Drive(fd.get(), client, [&] { return client.session->established(); });
    ASSERT_TRUE(client.session->established()) << client.error();
    EXPECT_EQ(client.session->peer(), Id("httpbin"));
    ASSERT_TRUE(client.Write("hello\n"));
    Drive(fd.get(), client, [&] { return client.received.size() >= 6; });
    EXPECT_EQ(client.received, "olleh\n");
    client.session->Close();
    EXPECT_TRUE(Flush(fd.get(), *client.session));
  }
  while (fgets(line, sizeof(line), pipe) != nullptr) output += line;
  pclose(pipe);
  EXPECT_THAT(output, HasSubstr("CONNECTION ESTABLISHED"));
}

}  // namespace
}  // namespace nodeward::tls
