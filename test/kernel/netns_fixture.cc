// SPDX-License-Identifier: Apache-2.0
#include "kernel/netns_fixture.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/text.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace nodeward::test {
namespace {

// Pins of a test are its own: in a mount namespace that dies with the process.
class MountEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0) << "these tests run as root";
    ASSERT_EQ(mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    // A client that goes away is an error of write(), not the test's end.
    signal(SIGPIPE, SIG_IGN);
  }
};
const auto* const environment =
    ::testing::AddGlobalTestEnvironment(new MountEnvironment);

base::Fd OpenCurrentNetns() {
  return base::Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

std::string CgroupRoot() {
  std::ifstream mounts("/proc/self/mountinfo");
  std::string line;
  while (std::getline(mounts, line)) {
    size_t dash = line.find(" - cgroup2 ");
    if (dash == std::string::npos) continue;
    std::istringstream words(line);
    std::string word, point;
    for (int i = 0; i < 5; ++i) words >> point;
    return point;
  }
  return "";
}

std::string OwnCgroup() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line))
    if (line.starts_with("0::")) return line.substr(3);
  return "/";
}

bool WritePid(const std::string& cgroup, pid_t pid) {
  base::Fd fd(open((cgroup + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  std::string text = std::to_string(pid);
  return write(fd.get(), text.data(), text.size()) ==
         static_cast<ssize_t>(text.size());
}

}  // namespace

base::IpAddress Ip(const std::string& text) {
  auto ip = base::IpAddress::Parse(text);
  EXPECT_TRUE(ip.ok()) << text;
  return ip.ok() ? *ip : base::IpAddress();
}

base::Endpoint At(const std::string& text) {
  auto at = base::Endpoint::Parse(text);
  EXPECT_TRUE(at.ok()) << text;
  return at.ok() ? *at : base::Endpoint();
}

Netns::Netns() {
  std::thread([this] {
    if (unshare(CLONE_NEWNET) != 0) return;
    fd_ = OpenCurrentNetns();
    base::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    socklen_t size = sizeof(cookie_);
    getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie_, &size);
  }).join();
  EXPECT_TRUE(fd_.valid()) << "unshare network namespace";
  EXPECT_NE(cookie_, 0u);
  Sh("ip link set lo up");
}

void Netns::Run(const std::function<void()>& work) const {
  std::thread([&] {
    ASSERT_EQ(setns(fd_.get(), CLONE_NEWNET), 0);
    work();
  }).join();
}

void Netns::Sh(const std::string& commands) const {
  Run([&] {
    EXPECT_EQ(system(base::StrCat("set -e; ", commands).c_str()), 0)
        << commands;
  });
}

base::Fd Netns::Socket(int family, int type, int protocol) const {
  base::Fd fd;
  Run([&] { fd.Reset(socket(family, type | SOCK_CLOEXEC, protocol)); });
  EXPECT_TRUE(fd.valid());
  return fd;
}

InNetns::InNetns(const Netns& netns) : former_(OpenCurrentNetns()) {
  EXPECT_EQ(setns(netns.fd(), CLONE_NEWNET), 0);
}

InNetns::~InNetns() { EXPECT_EQ(setns(former_.get(), CLONE_NEWNET), 0); }

Node::Node(int number) : number_(number) {
  netns_.Sh(base::StrCat(
      "ip link add br0 type bridge; ip link set br0 up; ip addr add ",
      v4().ToString(), "/24 dev br0; ip -6 addr add ", v6().ToString(),
      "/64 dev br0 nodad; echo 1 > /proc/sys/net/ipv4/ip_forward"));
}

base::IpAddress Node::v4() const {
  return Ip(base::StrCat("10.77.", number_, ".1"));
}

base::IpAddress Node::v6() const {
  return Ip(base::StrCat("fd77:", number_, "::1"));
}

Pod Node::AddPod(int number) {
  Pod pod;
  pod.v4 = Ip(base::StrCat("10.77.", number_, ".", number));
  pod.v6 = Ip(base::StrCat("fd77:", number_, "::", number));
  pod.veth = base::StrCat("pod", number);
  // The peer is made in the pod's namespace through its descriptor.
  netns_.Sh(base::StrCat("ip link add ", pod.veth,
                         " type veth peer name eth0 netns /proc/", getpid(),
                         "/fd/", pod.netns.fd(), "; ip link set ", pod.veth,
                         " master br0 up"));
  pod.netns.Sh(base::StrCat(
      "ip link set eth0 up; ip addr add ", pod.v4.ToString(),
      "/24 dev eth0; ip -6 addr add ", pod.v6.ToString(),
      "/64 dev eth0 nodad; ip route add default via ", v4().ToString(),
      "; ip -6 route add default via ", v6().ToString()));
  netns_.Run([&] { pod.ifindex = if_nametoindex(pod.veth.c_str()); });
  EXPECT_NE(pod.ifindex, 0);
  return pod;
}

Sandbox::Sandbox() {
  static std::atomic<int> serial = 0;
  std::string name = base::StrCat("nodeward-test-", getpid(), "-", serial++);
  std::string folder = base::StrCat("/tmp/", name);
  EXPECT_EQ(mkdir(folder.c_str(), 0700), 0);
  EXPECT_EQ(mount("bpf", folder.c_str(), "bpf", 0, nullptr), 0);
  mount_ = folder;
  // Not the root itself: the kernel keeps things of its own there.
  bpf_dir_ = folder + "/pins";
  EXPECT_EQ(mkdir(bpf_dir_.c_str(), 0700), 0);
  std::string root = CgroupRoot();
  EXPECT_FALSE(root.empty()) << "no cgroup v2 is mounted";
  former_ = root + OwnCgroup();
  base_ = base::StrCat(root, "/", name);
  EXPECT_EQ(mkdir(base_.c_str(), 0755), 0);
  cgroup_ = base_ + "/pods";
  EXPECT_EQ(mkdir(cgroup_.c_str(), 0755), 0);
  EXPECT_TRUE(WritePid(cgroup_, getpid()));
}

Sandbox::~Sandbox() {
  EXPECT_TRUE(WritePid(former_, getpid()));
  for (const std::string& cgroup : added_)
    EXPECT_EQ(rmdir(cgroup.c_str()), 0) << cgroup;
  EXPECT_EQ(rmdir(cgroup_.c_str()), 0);
  EXPECT_EQ(rmdir(base_.c_str()), 0);
  EXPECT_EQ(umount2(mount_.c_str(), MNT_DETACH), 0);
  EXPECT_EQ(rmdir(mount_.c_str()), 0);
}

std::string Sandbox::AddCgroup(const std::string& name) {
  std::string path = base::StrCat(base_, "/", name);
  EXPECT_EQ(mkdir(path.c_str(), 0755), 0);
  added_.push_back(path);
  return path;
}

uint64_t Sandbox::CgroupId(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0);
  return info.st_ino;
}

int RunInCgroup(const std::string& cgroup, const std::function<int()>& work) {
  pid_t child = fork();
  if (child == 0) _exit(WritePid(cgroup, getpid()) ? work() : 255);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

}  // namespace nodeward::test
