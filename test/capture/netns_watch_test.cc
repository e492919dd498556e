// SPDX-License-Identifier: Apache-2.0
#include "capture/netns_watch.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "capture/loop_thread.h"
#include "capture/netns_fixture.h"

namespace nodeward::capture {
namespace {

class NetnsWatchTest : public testing::Test {
 protected:
  NetnsWatchTest() {
    char name[] = "/tmp/nwcap-watch-XXXXXX";
    folder_ = mkdtemp(name);
    thread_.Do([&] {
      watch_ =
          NetnsWatch::Create(thread_.loop(), [this] { ++changes_; }).value();
    });
  }
  ~NetnsWatchTest() override {
    thread_.Do([&] { watch_.reset(); });
    std::filesystem::remove_all(folder_);
  }
  void Watch(const std::set<std::string>& paths) {
    thread_.Do([&] { watch_->Watch(paths); });
  }
  bool Changed() {
    return Await([&] { return changes_.exchange(0) > 0; });
  }

  LoopThread thread_;
  std::string folder_;
  std::unique_ptr<NetnsWatch> watch_;
  std::atomic<int> changes_{0};
};

TEST_F(NetnsWatchTest, TellsOfFilesThatComeAndGo) {
  const std::string path = folder_ + "/pod";
  Watch({path});
  std::ofstream(path).close();
  EXPECT_TRUE(Changed());
  ASSERT_EQ(rename(path.c_str(), (path + "2").c_str()), 0);
  EXPECT_TRUE(Changed());
  ASSERT_EQ(unlink((path + "2").c_str()), 0);
  EXPECT_TRUE(Changed());
}

TEST_F(NetnsWatchTest, FollowsTheListOfPaths) {
  std::filesystem::create_directory(folder_ + "/a");
  std::filesystem::create_directory(folder_ + "/b");
  Watch({folder_ + "/a/pod", folder_ + "/a/pod2", "/no/such/folder/pod",
         "/proc/self/ns/net"});
  Watch({folder_ + "/b/pod"});
  std::ofstream(folder_ + "/a/x").close();
  std::ofstream(folder_ + "/b/x").close();
  EXPECT_TRUE(Changed());
  // Only b's event came: a's folder is no longer watched.
  Watch({});
  changes_ = 0;
  std::ofstream(folder_ + "/b/y").close();
  thread_.Do([] {});
  EXPECT_EQ(changes_, 0);
}

TEST_F(NetnsWatchTest, SeesANamespaceRemoved) {
  TestNode node;
  TestPod pod(node, {});
  Watch({pod.path()});
  changes_ = 0;
  pod.Release();
  pod.Delete();
  EXPECT_TRUE(Changed());
}

}  // namespace
}  // namespace nodeward::capture
