// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "hbone/engine.h"
#include "hbone/tcp.h"
#include "io/pod_network.h"
#include "pki/embedded_ca.h"

namespace nodeward::hbone {

// Keeps what the engine reports.
class Flows final : public observe::FlowSink {
 public:
  void Opened(const observe::Flow& flow) override;
  void Closed(const observe::Flow& flow) override;
  std::vector<observe::Flow> opened() const;
  std::vector<observe::Flow> closed() const;
  // The first closed flow with `outcome`, awaited.
  std::optional<observe::Flow> AwaitClosed(observe::Outcome outcome) const;

 private:
  mutable base::Mutex mutex_;
  std::vector<observe::Flow> opened_ ABSL_GUARDED_BY(mutex_);
  std::vector<observe::Flow> closed_ ABSL_GUARDED_BY(mutex_);
};

// Stands in for capture. All pods live in one namespace; the application of
// the pod 127.0.X.Y listens at 127.1.X.Y, so that the pod's own address is
// free for the engine's captured listener, whose local address is then the
// original destination, as with sk_lookup.
class FakeNetwork final : public io::PodNetwork {
 public:
  explicit FakeNetwork(const base::IpAddress& ip) : ip_(ip) {}

  uint64_t cookie() const override { return 1; }
  base::StatusOr<base::Fd> OpenOutgoing(int family) override;
  base::StatusOr<base::Fd> ConnectOnward(
      const base::IpAddress& client,
      const base::Endpoint& application) override;
  std::optional<base::Endpoint> TakeOriginalDestination(
      const base::Endpoint& peer, const base::Endpoint& local) override;
  void Captured(const base::Endpoint&) override { ++captured; }
  void Released(const base::Endpoint&) override { --captured; }

  void Expect(uint16_t client_port, const base::Endpoint& destination);
  std::atomic<int> captured{0};
  std::atomic<int> dialled{0};

 private:
  const base::IpAddress ip_;
  base::Mutex mutex_;
  std::map<uint16_t, base::Endpoint> originals_ ABSL_GUARDED_BY(mutex_);
};

// Where FakeNetwork finds the application of `at`.
base::Endpoint ApplicationOf(const base::Endpoint& at);

struct TestPod {
  std::shared_ptr<model::Workload> workload;
  std::shared_ptr<FakeNetwork> network;
  base::IpAddress ip;
  base::Endpoint outbound;  // where captured connects arrive
};

// Two nodes' engines in one process, in a network namespace of its own.
class EngineTest : public ::testing::Test {
 protected:
  static constexpr uint16_t kPort = 8080;  // captured in every pod

  EngineTest();
  ~EngineTest() override;

  // Before the first use of a node.
  Options options;

  struct Node {
    Flows flows;
    pki::CredentialStore credentials;
    std::unique_ptr<Engine> engine;
  };
  Node& a() { return Started(&a_); }
  Node& b() { return Started(&b_); }

  // A workload of the next snapshot. `name` "client" is cluster.local/ns/full/
  // sa/client at 127.0.9.<n>.
  TestPod MakePod(const std::string& name);
  // The same at `ip`.
  TestPod MakePodAt(const std::string& name, const base::IpAddress& ip);
  // Gives the pod to the engine, with a certificate.
  void Enrol(Node& node, TestPod& pod, bool with_credential = true);
  void GiveCredential(Node& node, const model::Identity& identity);
  // Everything that was made, as the policies say; awaits both engines.
  void Publish();
  void Strict(const std::string& name, model::MtlsMode mode);

  // An application in `pod` that connects to `destination`.
  Tcp Connect(TestPod& pod, const base::Endpoint& destination);
  base::Endpoint At(const TestPod& pod, uint16_t port = kPort) const {
    return {pod.ip, port};
  }

  const std::string& folder() const { return folder_; }
  // PEM of the key of `ca`.
  std::string RootKey() const;

  std::vector<std::shared_ptr<model::Workload>> workloads;
  std::vector<std::shared_ptr<model::Service>> services;
  std::vector<model::PeerAuthentication> policies;
  std::vector<std::shared_ptr<const model::AuthorizationPolicy>> authorization;
  std::vector<std::shared_ptr<const model::DestinationRule>> rules;
  std::vector<std::shared_ptr<const model::NetworkPolicy>> network_policies;
  std::shared_ptr<const pki::ClientMaterials> materials;
  std::unique_ptr<pki::EmbeddedCa> ca;

 private:
  Node& Started(Node* node);

  std::string folder_;
  int next_ = 1;
  uint64_t generation_ = 0;
  model::SnapshotPtr published_;
  Node a_;
  Node b_;
};

}  // namespace nodeward::hbone
