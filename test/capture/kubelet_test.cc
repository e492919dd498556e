// SPDX-License-Identifier: Apache-2.0
#include "capture/kubelet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "capture/cgroup.h"
#include "capture/netns_fixture.h"

namespace nodeward::capture {
namespace {

using testing::HasSubstr;

TcpSocket ListenerOf(uint32_t uid, uint64_t cgroup) {
  TcpSocket socket;
  socket.state = TcpState::kListen;
  socket.uid = uid;
  socket.cgroup = cgroup;
  return socket;
}

std::string Why(const base::StatusOr<uint64_t>& result) {
  return std::string(result.status().message());
}

TEST(CgroupOfListenersTest, AllMustBeRootsAndOfOneCgroup) {
  EXPECT_EQ(*CgroupOfListeners({ListenerOf(0, 7), ListenerOf(0, 7)}, 10250),
            7u);
  EXPECT_THAT(Why(CgroupOfListeners({}, 10250)),
              HasSubstr("nothing listens on port 10250"));
  EXPECT_THAT(Why(CgroupOfListeners({ListenerOf(1000, 7)}, 10250)),
              HasSubstr("user 1000"));
  EXPECT_THAT(
      Why(CgroupOfListeners({ListenerOf(0, 7), ListenerOf(0, 8)}, 10250)),
      HasSubstr("several cgroups"));
  EXPECT_THAT(Why(CgroupOfListeners({ListenerOf(0, 0)}, 10250)),
              HasSubstr("5.9"));
}

// A process that listens on a port of the node from a cgroup of its own.
class StandIn {
 public:
  StandIn(const std::string& folder, uint16_t port, uid_t uid = 0) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(ready[0]);
      std::ofstream(folder + "/cgroup.procs") << getpid() << std::flush;
      if (uid != 0 && setuid(uid) != 0) _exit(1);
      const base::Fd fd(socket(AF_INET, SOCK_STREAM, 0));
      sockaddr_storage address;
      const socklen_t length =
          base::Endpoint{Ip("0.0.0.0"), port}.ToSockaddr(&address);
      if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
          listen(fd.get(), 1) != 0 || write(ready[1], "r", 1) != 1) {
        _exit(1);
      }
      for (;;) pause();
    }
    close(ready[1]);
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
  }
  ~StandIn() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

class KubeletTest : public testing::Test {
 protected:
  KubeletTest()
      : mount_(FindCgroup2Mount().value()),
        base_("nwcap-kubelet-" + std::to_string(getpid())) {
    Make(base_);
  }
  ~KubeletTest() override {
    for (auto it = made_.rbegin(); it != made_.rend(); ++it) {
      // A cgroup whose last process has just died is busy for an instant.
      EXPECT_TRUE(Await([&] { return rmdir(it->c_str()) == 0; })) << *it;
    }
  }
  std::string Make(const std::string& name) {
    const std::string folder = mount_ + "/" + name;
    EXPECT_EQ(mkdir(folder.c_str(), 0755), 0) << folder;
    made_.push_back(folder);
    return folder;
  }

  TestNode node_;
  const std::string mount_;
  const std::string base_;
  std::vector<std::string> made_;
};

TEST_F(KubeletTest, IsWhoListensOnItsPortAndFollowsARestart) {
  const std::string first = Make(base_ + "/kubelet");
  const std::string second = Make(base_ + "/kubelet2");
  KubeletFinder finder("auto", 10250);
  EXPECT_THAT(std::string(finder.Find().status().message()),
              HasSubstr("nothing listens"));
  {
    StandIn kubelet(first, 10250);
    const auto found = finder.Find();
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->folder, first);
    EXPECT_EQ(found->id, *CgroupId(first));
    EXPECT_EQ(finder.Find()->id, found->id);
  }
  EXPECT_FALSE(finder.Find().ok());
  StandIn kubelet(second, 10250);
  const auto found = finder.Find();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->folder, second);
}

TEST_F(KubeletTest, AnotherPortCanBeConfigured) {
  const std::string folder = Make(base_ + "/kubelet");
  StandIn kubelet(folder, 20250);
  EXPECT_FALSE(KubeletFinder("auto", 10250).Find().ok());
  EXPECT_EQ(KubeletFinder("auto", 20250).Find()->folder, folder);
}

TEST_F(KubeletTest, PodsUsersAndTheRootCgroupAreRefused) {
  const auto why = [] {
    return std::string(KubeletFinder("auto", 10250).Find().status().message());
  };
  {
    Make(base_ + "/kubepods");
    StandIn pod(Make(base_ + "/kubepods/pod1"), 10250);
    EXPECT_THAT(why(), HasSubstr("runs in a pod"));
  }
  {
    StandIn user(Make(base_ + "/user"), 10250, 65534);
    EXPECT_THAT(why(), HasSubstr("user 65534"));
  }
  StandIn root(mount_, 10250);
  EXPECT_THAT(why(), HasSubstr("root cgroup"));
}

TEST_F(KubeletTest, ConfiguredPathNeedsNoListener) {
  const std::string folder = Make(base_ + "/kubelet");
  for (const std::string& path : {folder, base_ + "/kubelet"}) {
    const auto found = KubeletFinder(path, 10250).Find();
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->id, *CgroupId(folder));
  }
  EXPECT_FALSE(KubeletFinder(base_ + "/gone", 10250).Find().ok());
  EXPECT_FALSE(KubeletFinder(mount_, 10250).Find().ok());
  ASSERT_EQ(chown(folder.c_str(), 65534, 65534), 0);
  EXPECT_THAT(
      std::string(KubeletFinder(folder, 10250).Find().status().message()),
      HasSubstr("does not belong to root"));
}

}  // namespace
}  // namespace nodeward::capture
