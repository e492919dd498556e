// SPDX-License-Identifier: Apache-2.0
//
// What ends connections that are open: policy, pods that leave, the agent.
#include <future>

#include "absl/synchronization/notification.h"
#include "hbone/engine_fixture.h"

namespace nodeward::hbone {
namespace {

using observe::Outcome;

class LifecycleTest : public EngineTest {
 protected:
  void Begin() {
    client = MakePod("client");
    server = MakePod("server");
    Publish();
    Enrol(a(), client);
    Enrol(b(), server);
    app = std::make_unique<Server>(ApplicationOf(At(server)), Echo);
  }
  Tcp Open() {
    Tcp tcp = Connect(client, At(server));
    EXPECT_TRUE(tcp.Send("x"));
    EXPECT_EQ(tcp.Receive(1), "x");
    return tcp;
  }
  Tcp OpenPlain() {
    Tcp tcp(ConnectFrom({*base::IpAddress::Parse("127.8.8.8"), 0}, At(server)));
    EXPECT_TRUE(tcp.Send("x"));
    EXPECT_EQ(tcp.Receive(1), "x");
    return tcp;
  }
  TestPod client;
  TestPod server;
  std::unique_ptr<Server> app;
};

TEST_F(LifecycleTest, StrictClosesOpenPlaintextAndSparesTunnels) {
  Begin();
  Tcp plain = OpenPlain();
  Tcp tunnelled = Open();
  Strict("server", model::MtlsMode::kStrict);
  // SetSnapshot's `done` has been called: it has happened.
  EXPECT_EQ(plain.AwaitEnd(), Ending::kReset);
  ASSERT_TRUE(tunnelled.Send("y"));
  EXPECT_EQ(tunnelled.Receive(1), "y");
  const auto flow = b().flows.AwaitClosed(Outcome::kPolicyChanged);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->policy, "full/server");
  EXPECT_EQ(server.network->captured.load(), 0);
}

TEST_F(LifecycleTest, AClosingPolicyEndsTunnelledStreamsToo) {
  Begin();
  Tcp tunnelled = Open();
  auto snapshot = std::make_shared<model::Snapshot>();
  snapshot->trust_domain = "cluster.local";
  for (const auto& workload : workloads) {
    snapshot->workloads.push_back(workload);
  }
  model::ClosingPolicy closing;
  closing.kind = "AuthorizationPolicy";
  closing.name = "nobody";
  closing.name_space = "full";
  snapshot->closing_policies = {closing};
  snapshot->Finish();
  absl::Notification done;
  b().engine->SetSnapshot(snapshot, [&] { done.Notify(); });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_EQ(tunnelled.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kPolicyChanged).has_value());
  // New ones are refused before the application is dialled.
  const int before = server.network->dialled.load();
  Tcp late = Connect(client, At(server));
  EXPECT_EQ(late.AwaitEnd(), Ending::kReset);
  EXPECT_EQ(server.network->dialled.load(), before);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kDeniedPolicy).has_value());
}

TEST_F(LifecycleTest, ADestinationThatIsGoneEndsTheConnection) {
  Begin();
  Tcp tcp = Open();
  std::erase(workloads, server.workload);
  Publish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kPolicyChanged).has_value());
}

TEST_F(LifecycleTest, AnotherPodAtTheSameAddressEndsTheConnection) {
  Begin();
  Tcp tcp = Open();
  server.workload->uid = "uid-successor";
  Publish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
}

TEST_F(LifecycleTest, APodThatIsEndingServesWhatItHasBegun) {
  Begin();
  Tcp tcp = Open();
  server.workload->membership = model::Membership::kTerminal;
  Publish();
  ASSERT_TRUE(tcp.Send("y"));
  EXPECT_EQ(tcp.Receive(1), "y");
  Tcp late = Connect(client, At(server));
  EXPECT_EQ(late.AwaitEnd(), Ending::kReset);
}

TEST_F(LifecycleTest, PlaintextToAPodThatJoinsTheMeshIsClosed) {
  Begin();
  TestPod legacy = MakePod("legacy");
  legacy.workload->membership = model::Membership::kNotOptedIn;
  Publish();
  Server plain(At(legacy), Echo);
  Tcp tcp = Connect(client, At(legacy));
  ASSERT_TRUE(tcp.Send("x"));
  EXPECT_EQ(tcp.Receive(1), "x");
  legacy.workload->membership = model::Membership::kEnabled;
  Publish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kPolicyChanged).has_value());
}

TEST_F(LifecycleTest, ListenersAreTwoAgentsUntilOneStops) {
  Begin();
  Tcp held = Open();
  const std::string& uid = server.workload->uid;
  PodListeners twice = b().engine->DuplicateListeners(uid);
  ASSERT_TRUE(twice.hbone.valid() && twice.inbound4.valid() &&
              twice.outbound4.valid());
  EXPECT_FALSE(twice.outbound6.valid());
  b().engine->StopListening();
  // Nobody else accepts: what comes now waits for the one who has the socket.
  const base::Fd waiting = ConnectFrom({client.ip, 0}, At(server));
  ASSERT_TRUE(waiting.valid());
  base::Fd accepted;
  while (!accepted.valid()) {
    accepted.Reset(accept(twice.inbound4.get(), nullptr, nullptr));
  }
  // The tunnel that was open takes streams.
  Tcp more = Open();
  ASSERT_TRUE(held.Send("y"));
  EXPECT_EQ(held.Receive(1), "y");
  twice = {};
  int error = 0;
  EXPECT_FALSE(ConnectFrom({client.ip, 0}, At(server), &error).valid());
  EXPECT_EQ(error, ECONNREFUSED);
  EXPECT_FALSE(b().engine->DuplicateListeners(uid).hbone.valid());
  EXPECT_FALSE(b().engine->DuplicateListeners("nobody").hbone.valid());
}

TEST_F(LifecycleTest, KillPodClosesEverythingOfThePod) {
  Begin();
  Tcp tunnelled = Open();
  Tcp plain = OpenPlain();
  absl::Notification removed;
  b().engine->KillPod(server.workload->uid, [&] { removed.Notify(); });
  ASSERT_TRUE(removed.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_EQ(tunnelled.AwaitEnd(), Ending::kReset);
  EXPECT_EQ(plain.AwaitEnd(), Ending::kReset);
  EXPECT_EQ(b().engine->load().connections, 0u);
  EXPECT_EQ(b().engine->load().tunnels, 0u);
  int error = 0;
  EXPECT_FALSE(ConnectFrom({client.ip, 0}, At(server), &error).valid());
  EXPECT_EQ(error, ECONNREFUSED);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kPodGone).has_value());
  // The engine holds the network no longer than the round that ends it.
  EXPECT_TRUE(Await([&] { return server.network.use_count() == 1; }));
}

TEST_F(LifecycleTest, KillOfTheSourceEndsItsConnections) {
  Begin();
  Tcp tcp = Open();
  absl::Notification removed;
  a().engine->KillPod(client.workload->uid, [&] { removed.Notify(); });
  ASSERT_TRUE(removed.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_EQ(a().engine->load().tunnels, 0u);
  EXPECT_TRUE(Await([&] { return b().engine->load().tunnels == 0u; }));
}

TEST_F(LifecycleTest, DrainPodLetsConnectionsEnd) {
  Begin();
  Tcp tunnelled = Open();
  Tcp plain = OpenPlain();
  absl::Notification drained;
  b().engine->DrainPod(server.workload->uid, [&] { drained.Notify(); });
  EXPECT_TRUE(Await([&] {
    int error = 0;
    ConnectFrom({client.ip, 0}, At(server), &error);
    return error == ECONNREFUSED;
  }));
  ASSERT_TRUE(tunnelled.Send("y"));
  EXPECT_EQ(tunnelled.Receive(1), "y");
  ASSERT_TRUE(plain.Send("y"));
  EXPECT_EQ(plain.Receive(1), "y");
  EXPECT_FALSE(drained.HasBeenNotified());
  tunnelled.Finish();
  EXPECT_EQ(tunnelled.AwaitEnd(), Ending::kFin);
  plain.Finish();
  EXPECT_EQ(plain.AwaitEnd(), Ending::kFin);
  EXPECT_TRUE(drained.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

TEST_F(LifecycleTest, DrainOfAPodWithoutConnectionsIsDoneAtOnce) {
  Begin();
  { Tcp tcp = Open(); }
  ASSERT_TRUE(Await([&] { return a().engine->load().connections == 0; }));
  absl::Notification drained;
  // Its idle tunnel does not keep it.
  a().engine->DrainPod(client.workload->uid, [&] { drained.Notify(); });
  EXPECT_TRUE(drained.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

TEST_F(LifecycleTest, APodMayComeBackWhileItsPredecessorDrains) {
  Begin();
  Tcp old = Open();
  absl::Notification drained;
  b().engine->DrainPod(server.workload->uid, [&] { drained.Notify(); });
  ASSERT_TRUE(Await([&] {
    int error = 0;
    ConnectFrom({client.ip, 0}, At(server), &error);
    return error == ECONNREFUSED;
  }));
  Enrol(b(), server);
  Tcp fresh = Open();
  ASSERT_TRUE(old.Send("y"));
  EXPECT_EQ(old.Receive(1), "y");
  old.Finish();
  EXPECT_EQ(old.AwaitEnd(), Ending::kFin);
  ASSERT_TRUE(fresh.Send("y"));
  EXPECT_EQ(fresh.Receive(1), "y");
  // It may be a stream of the old tunnel: the client did not know yet.
  fresh.Finish();
  EXPECT_EQ(fresh.AwaitEnd(), Ending::kFin);
  drained.WaitForNotification();
  Tcp after = Open();
  ASSERT_TRUE(after.Send("y"));
  EXPECT_EQ(after.Receive(1), "y");
}

TEST_F(LifecycleTest, DrainEndsAtItsDeadlineAtTheLatest) {
  Begin();
  Tcp tcp = Open();
  absl::Notification drained;
  b().engine->Drain(absl::Milliseconds(50), [&] { drained.Notify(); });
  EXPECT_TRUE(drained.WaitForNotificationWithTimeout(absl::Seconds(30)));
  ASSERT_TRUE(tcp.Send("y"));
  EXPECT_EQ(tcp.Receive(1), "y");
}

TEST_F(LifecycleTest, DrainEndsWithTheLastConnection) {
  Begin();
  Tcp tcp = Open();
  absl::Notification drained;
  b().engine->Drain(absl::Hours(1), [&] { drained.Notify(); });
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  EXPECT_TRUE(drained.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

TEST_F(LifecycleTest, TheEnginesEndResetsWhatIsOpen) {
  Begin();
  Tcp tcp = Open();
  Tcp plain = OpenPlain();
  b().engine.reset();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_EQ(plain.AwaitEnd(), Ending::kReset);
}

TEST_F(LifecycleTest, ConnectionsSurviveAPeersGracefulRestart) {
  Begin();
  Tcp old = Open();
  absl::Notification drained;
  // The peer says GOAWAY; the next connection needs another tunnel, to the
  // listener that has taken over.
  b().engine->DrainPod(server.workload->uid, [&] { drained.Notify(); });
  ASSERT_TRUE(Await([&] {
    int error = 0;
    ConnectFrom({client.ip, 0}, {server.ip, 15008}, &error);
    return error == ECONNREFUSED;
  }));
  Enrol(b(), server);
  for (int i = 0; i < 50; ++i) {
    Tcp tcp = Open();
    tcp.Finish();
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  }
  old.Finish();
  EXPECT_EQ(old.AwaitEnd(), Ending::kFin);
  EXPECT_TRUE(drained.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

}  // namespace
}  // namespace nodeward::hbone
