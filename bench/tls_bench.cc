// SPDX-License-Identifier: Apache-2.0
//
// What one connection costs (BM_Handshake) and what one byte costs (BM_Records,
// both ends on this thread) in the TLS engine alone.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "pki/csr.h"
#include "pki/embedded_ca.h"
#include "tls/context.h"
#include "tls/session.h"

namespace nodeward::tls {
namespace {

// The benchmark cannot go on without it.
template <typename T>
T Need(base::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::abort();
  }
  return std::move(*value);
}

// Two contexts of one mesh, with certificates from a CA in a folder that is
// removed again.
class Mesh {
 public:
  Mesh() {
    std::string folder =
        absl::StrCat("/tmp/nodeward-tls-bench-", static_cast<int>(getpid()));
    std::unique_ptr<pki::EmbeddedCa> ca = Need(pki::EmbeddedCa::Open(
        {.folder = folder, .trust_domain = "cluster.local"}));
    auto bundle = std::make_shared<pki::TrustBundle>();
    bundle->trust_domain = "cluster.local";
    bundle->roots = {ca->root()};
    client_ = MakeContext(*ca, Role::kClient, "sleep", bundle);
    server_ = MakeContext(*ca, Role::kServer, "httpbin", bundle);
    std::filesystem::remove_all(folder);
  }

  std::unique_ptr<Session> NewClient() const {
    return Need(Session::Create(client_, {server_->credential().identity}));
  }
  std::unique_ptr<Session> NewServer() const {
    return Need(Session::Create(server_, {}));
  }

 private:
  static std::shared_ptr<const Context> MakeContext(
      pki::EmbeddedCa& ca, Role role, const std::string& account,
      std::shared_ptr<const pki::TrustBundle> bundle) {
    model::Identity identity{"cluster.local", "bench", account};
    pki::PrivateKey key = Need(pki::PrivateKey::GenerateP256());
    std::string csr = Need(pki::MakeCsr(key, identity));
    std::vector<pki::Certificate> chain;
    ca.Issue(identity, csr, [&chain](base::StatusOr<pki::Issued> issued) {
      chain = Need(std::move(issued)).chain;
    });
    auto credential = std::make_shared<pki::Credential>(
        pki::Credential{identity, std::move(chain), std::move(key), 1});
    return Need(
        Context::Create(role, {}, std::move(credential), std::move(bundle)));
  }

  std::shared_ptr<const Context> client_;
  std::shared_ptr<const Context> server_;
};

// Carries all of `from`'s output into `to`, which reads or shakes hands on.
void Carry(Session& from, Session& to, std::vector<uint8_t>& buffer,
           size_t* plaintext) {
  to.Feed(from.output());
  if (!to.established()) to.Handshake();
  if (to.established()) {
    size_t count = 0;
    while (to.Read(buffer, &count) == Step::kDone) *plaintext += count;
  }
  from.DropOutput(from.output().size());
}

void ShakeHands(Session& client, Session& server,
                std::vector<uint8_t>& buffer) {
  size_t ignored = 0;
  client.Handshake();
  for (int flight = 0; flight < 8; ++flight) {
    if (!client.output().empty()) Carry(client, server, buffer, &ignored);
    if (!server.output().empty()) Carry(server, client, buffer, &ignored);
  }
}

const Mesh& TheMesh() {
  static const Mesh mesh;
  return mesh;
}

void BM_Handshake(benchmark::State& state) {
  std::vector<uint8_t> buffer(64 << 10);
  for (auto _ : state) {
    std::unique_ptr<Session> client = TheMesh().NewClient();
    std::unique_ptr<Session> server = TheMesh().NewServer();
    ShakeHands(*client, *server, buffer);
    if (!client->established() || !server->established()) {
      state.SkipWithError("no handshake");
      break;
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Handshake)->Unit(benchmark::kMicrosecond);

// Encrypts and decrypts writes of the given size.
void BM_Records(benchmark::State& state) {
  std::vector<uint8_t> buffer(64 << 10);
  std::unique_ptr<Session> client = TheMesh().NewClient();
  std::unique_ptr<Session> server = TheMesh().NewServer();
  ShakeHands(*client, *server, buffer);
  std::vector<uint8_t> payload(static_cast<size_t>(state.range(0)), 'x');
  size_t arrived = 0;
  for (auto _ : state) {
    if (!client->Write(payload).ok()) {
      state.SkipWithError("write");
      break;
    }
    Carry(*client, *server, buffer, &arrived);
  }
  if (arrived != payload.size() * state.iterations()) {
    state.SkipWithError("bytes are missing");
  }
  state.SetBytesProcessed(static_cast<int64_t>(arrived));
}
BENCHMARK(BM_Records)->Arg(64)->Arg(1 << 10)->Arg(16 << 10)->Arg(64 << 10);

}  // namespace
}  // namespace nodeward::tls
