// SPDX-License-Identifier: Apache-2.0
#include "capture/probe_events.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>

#include "capture/fake_hooks.h"
#include "capture/loop_thread.h"
#include "capture/netns_fixture.h"

namespace nodeward::capture {
namespace {

// One event for each count of an eventfd.
class EventfulHooks : public FakeHooks {
 public:
  int probe_events_fd() const override { return fd_.get(); }
  void DrainProbeEvents(
      const std::function<void(const kernel::ProbeEvent&)>& handle) override {
    uint64_t count = 0;
    if (read(fd_.get(), &count, sizeof(count)) != sizeof(count)) return;
    kernel::ProbeEvent event;
    event.cookie = 7;
    for (; count > 0; --count) handle(event);
  }
  void Happen(uint64_t count) {
    ASSERT_EQ(write(fd_.get(), &count, sizeof(count)), 8);
  }

 private:
  base::Fd fd_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
};

TEST(ProbeEventsTest, HandsOnUntilItGoes) {
  auto hooks = std::make_shared<EventfulHooks>();
  LoopThread thread;
  std::unique_ptr<ProbeEvents> events;
  std::atomic<int> seen{0};
  thread.Do([&] {
    auto made =
        ProbeEvents::Watch(thread.loop(), hooks, [&](const auto& event) {
          EXPECT_EQ(event.cookie, 7u);
          ++seen;
        });
    ASSERT_TRUE(made.ok()) << made.status();
    events = *std::move(made);
  });
  hooks->Happen(2);
  EXPECT_TRUE(Await([&] { return seen == 2; }));
  hooks->Happen(1);
  EXPECT_TRUE(Await([&] { return seen == 3; }));
  thread.Do([&] { events.reset(); });
  hooks->Happen(1);
  thread.Do([] {});
  EXPECT_EQ(seen, 3);
}

TEST(ProbeEventsTest, HooksWithoutEventsAreFine) {
  LoopThread thread;
  thread.Do([&] {
    EXPECT_TRUE(ProbeEvents::Watch(thread.loop(), std::make_shared<FakeHooks>(),
                                   [](const auto&) {})
                    .ok());
  });
}

}  // namespace
}  // namespace nodeward::capture
