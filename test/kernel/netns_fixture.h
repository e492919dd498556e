// SPDX-License-Identifier: Apache-2.0
//
// Network namespaces, cgroups and a BPF file system for tests. Nothing here has
// a name on the machine but the cgroup: namespaces are anonymous and the BPF
// file system is mounted in a mount namespace of the test's own, so whatever
// happens to the test, the kernel cleans up.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"

namespace nodeward::test {

base::IpAddress Ip(const std::string& text);
base::Endpoint At(const std::string& text);  // "10.0.0.1:80", "[::1]:80"

// An anonymous network namespace with lo up. It lives as long as this and its
// sockets do.
class Netns {
 public:
  Netns();
  Netns(Netns&&) = default;

  int fd() const { return fd_.get(); }
  uint64_t cookie() const { return cookie_; }
  // Runs `work` on a thread inside.
  void Run(const std::function<void()>& work) const;
  // Runs shell commands inside; each must succeed.
  void Sh(const std::string& commands) const;
  // A socket made inside.
  base::Fd Socket(int family, int type = SOCK_STREAM, int protocol = 0) const;

 private:
  base::Fd fd_;
  uint64_t cookie_ = 0;
};

// This thread is inside `netns` while this lives.
class InNetns {
 public:
  explicit InNetns(const Netns& netns);
  ~InNetns();

 private:
  base::Fd former_;
};

// A pod on the bridge of its node: eth0 with 10.77.<node>.<n> and
// fd77:<node>::<n>.
struct Pod {
  Netns netns;
  base::IpAddress v4, v6;
  int ifindex = 0;  // of the veth's side on the node
  std::string veth;
};

// A node: bridge br0 with .1 and ::1, which is the pods' gateway.
class Node {
 public:
  explicit Node(int number = 0);
  const Netns& netns() const { return netns_; }
  base::IpAddress v4() const;
  base::IpAddress v6() const;
  Pod AddPod(int number);

 private:
  int number_;
  Netns netns_;
};

// A folder on a BPF file system, and a cgroup of cgroup v2 that this process
// has moved into. Both are gone with it.
class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;

  std::string bpf_dir() const { return bpf_dir_; }
  std::string cgroup() const { return cgroup_; }
  // A cgroup beside the process's own, and its id.
  std::string AddCgroup(const std::string& name);
  static uint64_t CgroupId(const std::string& path);

 private:
  std::string mount_, bpf_dir_, cgroup_, former_, base_;
  std::vector<std::string> added_;
};

// Runs `work` in a child process inside `cgroup` and tells its result (0 to
// 255). `work` makes system calls only: the parent may have threads.
int RunInCgroup(const std::string& cgroup, const std::function<int()>& work);

}  // namespace nodeward::test
