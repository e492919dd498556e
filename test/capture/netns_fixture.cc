// SPDX-License-Identifier: Apache-2.0
#include "capture/netns_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/text.h"

namespace nodeward::capture {
namespace {

constexpr int kPatienceMillis = 20'000;

std::string UniqueName() {
  static std::atomic<int> next{0};
  return base::StrCat("nwcap-", getpid(), "-", next++);
}

NetnsPtr OwnOrDie() {
  auto own = Netns::Own();
  if (!own.ok()) {
    ADD_FAILURE() << own.status();
    abort();
  }
  return *own;
}

}  // namespace

void Sh(const std::string& command) {
  ASSERT_EQ(system(command.c_str()), 0) << command;
}

base::IpAddress Ip(std::string_view text) {
  return base::IpAddress::Parse(text).value();
}

base::Endpoint At(std::string_view text) {
  return base::Endpoint::Parse(text).value();
}

TestNode::TestNode() : before_(OwnOrDie()) {
  EXPECT_EQ(unshare(CLONE_NEWNET), 0);
  netns_ = OwnOrDie();
  Sh("ip link set lo up && ip link add br0 type bridge && "
     "ip addr add 10.77.0.1/24 dev br0 && "
     "ip addr add fd77::1/64 dev br0 nodad && ip link set br0 up");
}

TestNode::~TestNode() { EXPECT_EQ(setns(before_->fd(), CLONE_NEWNET), 0); }

TestPod::TestPod(const TestNode& node, Shape shape)
    : node_(node), shape_(std::move(shape)), name_(UniqueName()) {
  const std::string host = host_interface();
  const std::string in = "ip -n " + name_ + " ";
  Sh("ip netns add " + name_);
  if (!shape_.ipv6) {
    Sh("ip netns exec " + name_ +
       " sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
  }
  Sh(in + "link set lo up && ip link add " + host + " type veth peer name " +
     shape_.interface + " netns " + name_ + " && ip link set " + host +
     " master br0 up && " + in + "link set " + shape_.interface + " up && " +
     in + "addr add " + v4().ToString() + "/24 dev " + shape_.interface +
     " && " + in + "route add default via 10.77.0.1");
  if (shape_.ipv6) {
    Sh(in + "addr add " + v6().ToString() + "/64 dev " + shape_.interface +
       " nodad");
  }
  auto netns = Netns::Open(path());
  EXPECT_TRUE(netns.ok()) << netns.status();
  if (netns.ok()) netns_ = *netns;
}

TestPod::~TestPod() {
  if (!deleted_) Delete();
}

void TestPod::Delete() {
  deleted_ = true;
  Sh("ip netns del " + name_);
}

base::IpAddress TestPod::v4() const {
  return Ip(base::StrCat("10.77.0.", shape_.number));
}
base::IpAddress TestPod::v6() const {
  return Ip(base::StrCat("fd77::", shape_.number));
}
std::vector<base::IpAddress> TestPod::ips() const {
  if (!shape_.ipv6) return {v4()};
  return {v4(), v6()};
}
std::string TestPod::host_interface() const {
  return base::StrCat("v", shape_.number);
}

void TestPod::Run(const std::function<void()>& work) const {
  const auto status = netns_->Run(node_.netns(), [&] {
    work();
    return base::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
}

base::Fd TestPod::Listen(const base::Endpoint& at, bool reuse_port) const {
  base::Fd fd;
  Run([&] {
    fd.Reset(socket(at.address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (reuse_port) {
      setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    }
    sockaddr_storage address;
    const socklen_t length = at.ToSockaddr(&address);
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0)
        << at.ToString();
    ASSERT_EQ(listen(fd.get(), 4096), 0);
  });
  return fd;
}

base::Fd TestPod::Connect(const base::Endpoint& to) const {
  base::Fd fd;
  Run([&] {
    fd.Reset(socket(to.address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address;
    const socklen_t length = to.ToSockaddr(&address);
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
      const int error = errno;
      fd.Reset();
      errno = error;
    }
  });
  return fd;
}

bool Await(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Milliseconds(kPatienceMillis);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

int OpenFds() {
  int count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

int ReadByte(int fd) {
  pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
  if (poll(&one, 1, kPatienceMillis) != 1) return -1;
  unsigned char byte;
  return recv(fd, &byte, 1, 0) == 1 ? byte : -1;
}

base::Fd AcceptOne(int listener, base::Endpoint* peer) {
  pollfd one{.fd = listener, .events = POLLIN, .revents = 0};
  if (poll(&one, 1, kPatienceMillis) != 1) return base::Fd();
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  base::Fd fd(accept4(listener, reinterpret_cast<sockaddr*>(&address), &length,
                      SOCK_CLOEXEC));
  if (peer != nullptr) *peer = base::Endpoint::FromSockaddr(address).value();
  return fd;
}

}  // namespace nodeward::capture
