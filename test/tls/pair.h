// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pki/forge.h"
#include "tls/session.h"

namespace nodeward::tls {

using pki::Id;

// One end of a connection: a session and what came of its last turn.
struct End {
  std::unique_ptr<Session> session;
  Step step = Step::kWantInput;
  std::string received;

  // Handshake as long as there is one, then reads all there is.
  void Turn() {
    step = session->established() ? Step::kDone : session->Handshake();
    uint8_t buffer[3000];
    size_t count = 0;
    while (step == Step::kDone) {
      step = session->Read(buffer, &count);
      if (step == Step::kDone) {
        received.append(reinterpret_cast<const char*>(buffer), count);
      }
    }
  }
  // One turn with `wire` from the peer.
  void Take(std::string_view wire) {
    session->Feed(base::AsBytes(wire));
    Turn();
    if (session->has_input()) session->Retain();
  }
  std::string error() const { return std::string(session->error().message()); }
  bool Write(std::string_view text) {
    return session->Write(base::AsBytes(text)).ok();
  }
};

// Moves all that `from` has to send, `chunk` bytes a feed. The fed memory is
// freed after every turn, so that a read of borrowed bytes later is seen.
inline void Carry(Session& from, End& to, size_t chunk) {
  while (!from.output().empty()) {
    const size_t size = std::min(chunk, from.output().size());
    const std::vector<uint8_t> bytes(
        from.output().begin(),
        from.output().begin() + static_cast<ptrdiff_t>(size));
    from.DropOutput(size);
    to.Take(base::AsText(bytes));
  }
}

struct Pair {
  End client;
  End server;

  // Until neither has anything to say.
  void Run(size_t chunk = 1 << 20) {
    client.Turn();
    while (!client.session->output().empty() ||
           !server.session->output().empty()) {
      Carry(*client.session, server, chunk);
      Carry(*server.session, client, chunk);
    }
  }
  bool established() const {
    return client.session->established() && server.session->established();
  }
};

// A mesh of one root in which tests change one thing at a time.
class TlsTest : public testing::Test {
 protected:
  using Credential = std::shared_ptr<const pki::Credential>;
  using Bundle = std::shared_ptr<const pki::TrustBundle>;

  static std::shared_ptr<const Context> MakeContext(
      Role role, Credential credential, Bundle bundle,
      Context::Options options = {}) {
    auto context = Context::Create(role, options, std::move(credential),
                                   std::move(bundle));
    EXPECT_TRUE(context.ok()) << context.status();
    return context.ok() ? *context : nullptr;
  }
  static std::unique_ptr<Session> MakeSession(
      std::shared_ptr<const Context> context,
      std::vector<model::Identity> expected = {}) {
    auto session = Session::Create(std::move(context), std::move(expected));
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }
  Pair MakePair() const {
    Pair pair;
    pair.client.session =
        MakeSession(MakeContext(Role::kClient, client_credential, client_bundle,
                                client_options),
                    expected);
    pair.server.session = MakeSession(MakeContext(
        Role::kServer, server_credential, server_bundle, server_options));
    return pair;
  }
  // Set up and established.
  Pair Connected() const {
    Pair pair = MakePair();
    pair.Run();
    EXPECT_TRUE(pair.established())
        << pair.client.error() << " / " << pair.server.error();
    return pair;
  }

  const pki::Root root = pki::NewRoot();
  Credential client_credential = pki::NewCredential(root, Id("sleep"));
  Credential server_credential = pki::NewCredential(root, Id("httpbin"));
  Bundle client_bundle = pki::NewBundle(root);
  Bundle server_bundle = pki::NewBundle(root);
  Context::Options client_options;
  Context::Options server_options;
  std::vector<model::Identity> expected = {Id("httpbin")};
};

}  // namespace nodeward::tls
