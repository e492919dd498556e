// SPDX-License-Identifier: Apache-2.0
#include "capture/onward_ports.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "base/ip.h"

namespace nodeward::capture {
namespace {

base::IpAddress Client(int n) {
  return base::IpAddress::V4(htonl(0x0a000000u + static_cast<uint32_t>(n)));
}

TEST(OnwardPortsTest, KeepsOutOfTheEphemeralRange) {
  OnwardPorts ports;
  std::set<uint16_t> seen;
  for (int i = 0; i < 100'000; ++i) {
    const uint16_t port = ports.Candidate(Client(1), i % 256);
    EXPECT_GE(port, 1024);
    EXPECT_TRUE(port < 32768 || port >= 61000) << port;
    seen.insert(port);
  }
  // Nearly all that there are.
  EXPECT_GT(seen.size(), 30'000u);
  EXPECT_LE(seen.size(), 65536u - 61000 + 32768 - 1024);
}

TEST(OnwardPortsTest, FirstCandidatesAreNoPortsOfServers) {
  OnwardPorts ports;
  for (int i = 0; i < 20'000; ++i) {
    const uint16_t port = ports.Candidate(Client(1), 0);
    EXPECT_TRUE(port >= 61000 || (port >= 20000 && port < 32768)) << port;
  }
}

TEST(OnwardPortsTest, TurnsAreLong) {
  OnwardPorts ports;
  std::set<uint16_t> seen;
  for (int i = 0; i < 17'000; ++i) seen.insert(ports.Candidate(Client(1), 0));
  EXPECT_EQ(seen.size(), 17'000u);
}

// Connections that stay open: the turn comes round to a row of taken ports that
// is longer than there are attempts.
TEST(OnwardPortsTest, ARowOfTakenPortsIsLeft) {
  OnwardPorts ports;
  std::set<uint16_t> taken;
  int most = 0;
  for (int i = 0; i < 30'000; ++i) {
    int attempt = 0;
    while (attempt < OnwardPorts::kAttempts &&
           !taken.insert(ports.Candidate(Client(1), attempt)).second) {
      ++attempt;
    }
    most = std::max(most, attempt);
  }
  EXPECT_LT(most, OnwardPorts::kAttempts / 2);
}

TEST(OnwardPortsTest, SkipsCapturedPortsOfThatClientUntilReleased) {
  OnwardPorts ports;
  for (uint16_t port = 61000; port < 61050; ++port) {
    ports.Captured({Client(1), port});
    ports.Captured({Client(1), port});
  }
  EXPECT_EQ(ports.Candidate(Client(1), 0), 61050);
  OnwardPorts again;
  again.Captured({Client(1), 61000});
  again.Captured({Client(1), 61000});
  again.Released({Client(1), 61000});
  EXPECT_TRUE(again.MayBeCaptured({Client(1), 61000}));
  again.Released({Client(1), 61000});
  EXPECT_FALSE(again.MayBeCaptured({Client(1), 61000}));
  EXPECT_EQ(again.Candidate(Client(1), 0), 61000);
}

TEST(OnwardPortsTest, SaturationDoesNotStopIt) {
  OnwardPorts ports;
  for (int port = 1; port < 65536; ++port) {
    ports.Captured({Client(1), static_cast<uint16_t>(port)});
  }
  std::set<uint16_t> seen;
  for (int attempt = 0; attempt < OnwardPorts::kAttempts; ++attempt) {
    seen.insert(ports.Candidate(Client(1), attempt));
  }
  EXPECT_GT(seen.size(), 100u);
}

TEST(OnwardPortsTest, OneClientsFloodLeavesOthersMostPorts) {
  OnwardPorts ports;
  for (int port = 30'000; port < 40'000; ++port) {
    ports.Captured({Client(1), static_cast<uint16_t>(port)});
  }
  int captured = 0;
  for (int port = 1024; port < 32768; ++port) {
    captured += ports.MayBeCaptured({Client(2), static_cast<uint16_t>(port)});
  }
  EXPECT_LE(captured, 10'000);
}

TEST(OnwardPortsTest, ThreadsGetDifferentPortsAndCountsAddUp) {
  OnwardPorts ports;
  constexpr int kThreads = 4;
  constexpr int kEach = 4000;
  std::vector<std::vector<uint16_t>> got(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        got[t].push_back(ports.Candidate(Client(1), 0));
        const auto port = static_cast<uint16_t>(50'000 + i % 16);
        ports.Captured({Client(2), port});
        ports.Released({Client(2), port});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<uint16_t> all;
  for (const auto& each : got) all.insert(each.begin(), each.end());
  EXPECT_EQ(all.size(), static_cast<size_t>(kThreads * kEach));
  for (uint16_t port = 50'000; port < 50'016; ++port) {
    EXPECT_FALSE(ports.MayBeCaptured({Client(2), port}));
  }
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<size_t>(getpagesize());
}

TEST(OnwardPortsTest, AnIdlePodTakesNoMemoryWhateverTheHeapHasSeen) {
  constexpr size_t kFilter = 65'536 * 2;
  constexpr size_t kPods = 200;
  // A heap that was grown by such blocks hands them out again as they are.
  std::vector<std::unique_ptr<char[]>> before;
  for (size_t i = 0; i < kPods; ++i) {
    before.push_back(std::make_unique_for_overwrite<char[]>(kFilter));
    std::memset(before.back().get(), 1, kFilter);
  }
  before.clear();
  const size_t start = ResidentBytes();
  std::vector<std::unique_ptr<OnwardPorts>> pods;
  for (size_t i = 0; i < kPods; ++i) {
    pods.push_back(std::make_unique<OnwardPorts>());
    EXPECT_FALSE(pods.back()->MayBeCaptured({Client(1), 40'000}));
  }
  EXPECT_LT(ResidentBytes(), start + kPods * kFilter / 4);
}

}  // namespace
}  // namespace nodeward::capture
