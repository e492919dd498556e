// SPDX-License-Identifier: Apache-2.0
#include "hbone/refusal.h"

#include <thread>

#include "absl/synchronization/notification.h"
#include "hbone/engine_fixture.h"

namespace nodeward::hbone {
namespace {

using observe::Outcome;

// A pod whose application port is closed, and a client outside the mesh.
class RefusalTest : public EngineTest {
 protected:
  void SetUp() override {
    server = MakePod("server");
    Publish();
    Enrol(b(), server);
  }
  Tcp ConnectIn() {
    int error = 0;
    Tcp tcp(ConnectFrom({*base::IpAddress::Parse("127.3.3.3"), 0}, At(server),
                        &error));
    EXPECT_EQ(error, 0);
    return tcp;
  }
  void AwaitReleased() {
    while (server.network->captured > 0) std::this_thread::yield();
  }

  TestPod server;
};

TEST_F(RefusalTest, TheFirstByteBringsTheReset) {
  for (int i = 0; i < 50; ++i) {
    Tcp tcp = ConnectIn();
    // Never EPIPE: the reset waits for it.
    EXPECT_TRUE(tcp.Send("GET / HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  }
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kUpstreamRefused).has_value());
  AwaitReleased();
}

TEST_F(RefusalTest, SilenceIsResetToo) {
  Tcp tcp = ConnectIn();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  AwaitReleased();
}

TEST_F(RefusalTest, AClientThatEndsIsResetToo) {
  Tcp tcp = ConnectIn();
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  AwaitReleased();
}

TEST_F(RefusalTest, AKilledPodWaitsForNobody) {
  Tcp tcp = ConnectIn();
  absl::Notification done;
  b().engine->KillPod(server.workload->uid, [&] { done.Notify(); });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_EQ(server.network->captured, 0);
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
}

}  // namespace
}  // namespace nodeward::hbone
