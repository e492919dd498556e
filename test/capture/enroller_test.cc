// SPDX-License-Identifier: Apache-2.0
//
// The whole room on the kernel's own programs.
#include "capture/enroller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/mutex.h"
#include "capture/cgroup.h"
#include "capture/node_fixture.h"
#include "capture/steering.h"
#include "io/socket.h"

namespace nodeward::capture {
namespace {

using testing::HasSubstr;

// This process in a cgroup of its own, and a BPF file system for the pins.
class EnrollerTest : public testing::Test {
 protected:
  EnrollerTest()
      : mount_(FindCgroup2Mount().value()),
        cgroup_(mount_ + "/nwcap-enroller-" + std::to_string(getpid())),
        kubelet_cgroup_(cgroup_ + "-kubelet") {
    EXPECT_EQ(mkdir(cgroup_.c_str(), 0755), 0);
    EXPECT_EQ(mkdir(kubelet_cgroup_.c_str(), 0755), 0);
    Join(cgroup_);
    char name[] = "/tmp/nwcap-bpf-XXXXXX";
    bpf_ = mkdtemp(name);
    EXPECT_EQ(mount("bpf", bpf_.c_str(), "bpf", 0, nullptr), 0);
  }
  ~EnrollerTest() override {
    agent_.reset();
    Join(mount_);
    umount2(bpf_.c_str(), MNT_DETACH);
    rmdir(bpf_.c_str());
    for (const std::string& folder : {cgroup_, kubelet_cgroup_}) {
      EXPECT_TRUE(Await([&] { return rmdir(folder.c_str()) == 0; })) << folder;
    }
  }

  static void Join(const std::string& cgroup) {
    std::ofstream(cgroup + "/cgroup.procs") << getpid() << std::flush;
  }
  void Begin() {
    Options options;
    options.bpf_dir = bpf_ + "/nodeward";
    options.cgroup = cgroup_;
    options.kubelet_cgroup = kubelet_cgroup_;
    options.on_exempted_probe = [this](const ExemptedProbe& probe) {
      base::MutexLock lock(&mutex_);
      probes_.push_back(probe);
    };
    agent_ =
        std::make_unique<RunningEnroller>(&Enroller::Start, std::move(options));
  }
  std::vector<ExemptedProbe> Probes() {
    base::MutexLock lock(&mutex_);
    return probes_;
  }
  // Connects from the node inside another cgroup and reads one byte: its exit
  // code is that byte, 0 for an end or an error.
  int AskFrom(const std::string& cgroup, const base::Endpoint& to) {
    const pid_t pid = fork();
    if (pid == 0) {
      Join(cgroup);
      const base::Fd fd(socket(to.address.family(), SOCK_STREAM, 0));
      sockaddr_storage address;
      const socklen_t length = to.ToSockaddr(&address);
      if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length) !=
          0) {
        _exit(0);
      }
      const int byte = ReadByte(fd.get());
      _exit(byte < 0 ? 0 : byte);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  Listeners& ListenersOf(const std::string& uid) {
    return agent_->sink.Find(uid)->listeners;
  }
  // Takes a captured inbound connection and passes it on to the application of
  // `pod` as the engine would; true when `application` sees the client.
  bool PassOn(const std::string& uid, int inbound, int application) {
    base::Endpoint client;
    const base::Fd captured = AcceptOne(inbound, &client);
    if (!captured.valid()) return false;
    const auto asked = io::LocalEndpoint(captured.get());
    const auto network = agent_->sink.Find(uid)->network;
    network->Captured(client);
    const auto onward = network->ConnectOnward(client.address, *asked);
    EXPECT_TRUE(onward.ok()) << onward.status();
    base::Endpoint seen;
    const base::Fd accepted = AcceptOne(application, &seen);
    network->Released(client);
    EXPECT_EQ(seen.address, client.address);
    EXPECT_NE(seen.port, client.port);
    return accepted.valid() && seen.address == client.address;
  }
  static bool Waits(int listener) {
    pollfd one{.fd = listener, .events = POLLIN, .revents = 0};
    return poll(&one, 1, 0) == 1;
  }

  const std::string mount_;
  const std::string cgroup_;
  const std::string kubelet_cgroup_;
  std::string bpf_;
  TestNode node_;
  base::Mutex mutex_;
  std::vector<ExemptedProbe> probes_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<RunningEnroller> agent_;
};

TEST_F(EnrollerTest, CapturesBothDirectionsAndPassesOn) {
  TestPod pod(node_, {.number = 2});
  TestPod peer(node_, {.number = 3});
  const base::Fd app = pod.Listen(At("[::]:80"));
  const base::Fd peer_app = peer.Listen(At("[::]:80"));
  Begin();
  model::Workload there = WorkloadOf(peer, "there");
  there.node = "elsewhere";
  agent_->Apply({WorkloadOf(pod, "a"), there});
  ASSERT_EQ(agent_->Status("a").state, PodState::kEnrolled)
      << agent_->Status("a").reason;
  EXPECT_TRUE(agent_->Status("a").probe_exemption);

  // In: the agent has it, and the application sees the client's address.
  const base::Fd in4 = peer.Connect(At("10.77.0.2:80"));
  ASSERT_TRUE(in4.valid());
  EXPECT_TRUE(PassOn("uid-a", ListenersOf("uid-a").inbound4.get(), app.get()));
  const base::Fd in6 = peer.Connect(At("[fd77::2]:80"));
  ASSERT_TRUE(in6.valid());
  EXPECT_TRUE(PassOn("uid-a", ListenersOf("uid-a").inbound6.get(), app.get()));
  // A port where nothing listens is the agent's too.
  EXPECT_TRUE(peer.Connect(At("10.77.0.2:4711")).valid());
  EXPECT_TRUE(AcceptOne(ListenersOf("uid-a").inbound4.get()).valid());

  // Out: to the agent, with the destination kept.
  const auto network = agent_->sink.Find("uid-a")->network;
  for (const char* to : {"10.77.0.3:80", "[fd77::3]:80"}) {
    const base::Fd out = pod.Connect(At(to));
    ASSERT_TRUE(out.valid()) << to;
    const bool v4 = At(to).address.is_v4();
    base::Endpoint from;
    const base::Fd taken = AcceptOne(v4 ? ListenersOf("uid-a").outbound4.get()
                                        : ListenersOf("uid-a").outbound6.get(),
                                     &from);
    ASSERT_TRUE(taken.valid()) << to;
    EXPECT_EQ(
        network->TakeOriginalDestination(from, *io::LocalEndpoint(taken.get())),
        At(to));
  }
  // The agent's own socket goes where it is sent.
  EXPECT_FALSE(Waits(peer_app.get()));
  const auto own = network->OpenOutgoing(AF_INET);
  ASSERT_TRUE(own.ok()) << own.status();
  ASSERT_TRUE(io::StartConnect(own->get(), At("10.77.0.3:80")).ok());
  EXPECT_TRUE(AcceptOne(peer_app.get()).valid());
  // So does what is not of the mesh, and the pod to itself.
  EXPECT_FALSE(Waits(app.get()));
  const base::Fd self = pod.Connect(At("10.77.0.2:80"));
  EXPECT_TRUE(AcceptOne(app.get()).valid());
}

TEST_F(EnrollerTest, WithoutAgentThePodIsClosedAndTheNextOneAdoptsIt) {
  TestPod pod(node_, {.number = 2});
  TestPod peer(node_, {.number = 3});
  const base::Fd app = pod.Listen(At("0.0.0.0:80"));
  Begin();
  agent_->Apply({WorkloadOf(pod, "a")});
  agent_->Stop();
  EXPECT_FALSE(peer.Connect(At("10.77.0.2:80")).valid());
  EXPECT_EQ(errno, ECONNREFUSED);
  EXPECT_FALSE(Waits(app.get()));
  Begin();
  agent_->Apply({WorkloadOf(pod, "a")});
  ASSERT_EQ(agent_->Status("a").state, PodState::kEnrolled)
      << agent_->Status("a").reason;
  const base::Fd in = peer.Connect(At("10.77.0.2:80"));
  EXPECT_TRUE(PassOn("uid-a", ListenersOf("uid-a").inbound4.get(), app.get()));
}

TEST_F(EnrollerTest, WhoLeftTheMeshWhileNoAgentRanIsOpenedAgain) {
  TestPod pod(node_, {.number = 2});
  TestPod peer(node_, {.number = 3});
  const base::Fd app = pod.Listen(At("0.0.0.0:80"));
  Begin();
  agent_->Apply({WorkloadOf(pod, "a")});
  agent_->Stop();
  Begin();
  EXPECT_FALSE(peer.Connect(At("10.77.0.2:80")).valid());
  agent_->Apply({});
  EXPECT_TRUE(peer.Connect(At("10.77.0.2:80")).valid());
  EXPECT_FALSE(*HasSteering(pod.netns(), node_.netns()));
}

TEST_F(EnrollerTest, LabelRemovedGivesTheApplicationItsConnectionsBack) {
  TestPod pod(node_, {.number = 2});
  TestPod peer(node_, {.number = 3});
  const base::Fd app = pod.Listen(At("0.0.0.0:80"));
  Begin();
  agent_->Apply({WorkloadOf(pod, "a")});
  model::Workload out = WorkloadOf(pod, "a");
  out.membership = model::Membership::kNotOptedIn;
  out.opted_in = false;
  agent_->Apply({out});
  ASSERT_TRUE(agent_->AwaitState("a", PodState::kSkipped));
  const base::Fd direct = peer.Connect(At("10.77.0.2:80"));
  EXPECT_TRUE(AcceptOne(app.get()).valid());
}

TEST_F(EnrollerTest, TheKubeletsProbeAndNothingElsePassesTheAgent) {
  TestPod pod(node_, {.number = 2});
  const base::Fd app = pod.Listen(At("0.0.0.0:80"));
  const base::Fd other_app = pod.Listen(At("0.0.0.0:81"));
  // Answers 'y' to whoever reaches the application itself.
  const pid_t server = fork();
  if (server == 0) {
    for (;;) {
      pollfd both[2] = {{app.get(), POLLIN, 0}, {other_app.get(), POLLIN, 0}};
      if (poll(both, 2, -1) < 0) _exit(1);
      for (const pollfd& one : both) {
        if (one.revents == 0) continue;
        const base::Fd fd(accept(one.fd, nullptr, nullptr));
        if (send(fd.get(), "y", 1, 0) != 1) _exit(1);
      }
    }
  }
  Begin();
  agent_->Apply({WorkloadOf(pod, "a")});
  ASSERT_TRUE(agent_->Status("a").probe_exemption);
  EXPECT_EQ(AskFrom(kubelet_cgroup_, At("10.77.0.2:80")), 'y');
  // What the agent gets is closed here as it is accepted.
  const int inbound = ListenersOf("uid-a").inbound4.get();
  const auto refused_from = [&](const std::string& cgroup, const char* to) {
    std::thread closer([&] { io::ResetAndClose(AcceptOne(inbound)); });
    const int answer = AskFrom(cgroup, At(to));
    closer.join();
    return answer == 0;
  };
  EXPECT_TRUE(refused_from(cgroup_, "10.77.0.2:80"));
  EXPECT_TRUE(refused_from(kubelet_cgroup_, "10.77.0.2:81"));
  ASSERT_TRUE(Await([&] { return Probes().size() == 1; }));
  const ExemptedProbe probe = Probes()[0];
  EXPECT_EQ(probe.pod, "test/a");
  EXPECT_EQ(probe.target, At("10.77.0.2:80"));
  EXPECT_EQ(probe.source.address, Ip("10.77.0.1"));
  EXPECT_EQ(probe.cgroup, kubelet_cgroup_);
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
}

TEST_F(EnrollerTest, FailedPodIsClosedUnderStrict) {
  TestPod pod(node_, {.number = 2});
  TestPod peer(node_, {.number = 3});
  const base::Fd app = pod.Listen(At("0.0.0.0:80"));
  base::Fd taken = pod.Listen(At("127.0.0.1:15006"));
  Begin();
  agent_->strict = true;
  agent_->Apply({WorkloadOf(pod, "a")});
  EXPECT_EQ(agent_->Status("a").state, PodState::kFailed);
  // Non-blocking: a dropped SYN would be sent again for minutes.
  base::Fd client;
  peer.Run(
      [&] { client.Reset(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)); });
  ASSERT_TRUE(io::StartConnect(client.get(), At("10.77.0.2:80")).ok());
  taken.Reset();
  ASSERT_TRUE(agent_->AwaitState("a", PodState::kEnrolled));
  EXPECT_FALSE(Waits(app.get()));
}

TEST_F(EnrollerTest, RoundsLeaveNoPinAndNoDescriptor) {
  TestPod pod(node_, {.number = 2});
  Begin();
  const auto pins = [&] {
    int count = 0;
    for (const auto& each :
         std::filesystem::recursive_directory_iterator(bpf_)) {
      count += each.is_directory() ? 0 : 1;
    }
    return count;
  };
  agent_->Apply({});
  const int fds = OpenFds();
  const int idle_pins = pins();
  for (int i = 0; i < 30; ++i) {
    agent_->Apply({WorkloadOf(pod, "a")});
    ASSERT_EQ(agent_->Status("a").state, PodState::kEnrolled);
    agent_->Apply({});
    ASSERT_TRUE(Await([&] {
      return !agent_->sink.Has("uid-a") &&
             !*HasSteering(pod.netns(), node_.netns());
    }));
  }
  EXPECT_TRUE(Await([&] { return OpenFds() == fds; }))
      << fds << " then " << OpenFds();
  EXPECT_EQ(pins(), idle_pins);
}

TEST_F(EnrollerTest, ANodeFullOfPods) {
  constexpr int kPods = 250;
  const std::string prefix = "nwcap-full-" + std::to_string(getpid()) + "-";
  const auto each = [&](const std::string& commands, const char* into = "cat") {
    Sh("for i in $(seq 1 " + std::to_string(kPods) + "); do n=" + prefix +
       "$i; " + commands + " || exit 1; done | " + into);
  };
  each("echo netns add $n", "ip -batch -");
  each("echo link add p$i up type veth peer name eth0 netns $n", "ip -batch -");
  each(
      "printf 'link set lo up\\nlink set eth0 up\\naddr add 10.78.0.%s/16 dev "
      "eth0\\n' $i | ip -n $n -batch -");
  std::vector<model::Workload> workloads;
  for (int i = 1; i <= kPods; ++i) {
    const std::string number = std::to_string(i);
    model::Workload workload;
    workload.uid = workload.name = "p" + number;
    workload.name_space = "full";
    workload.node = "here";
    workload.ips = {Ip("10.78.0." + number)};
    workload.membership = model::Membership::kEnabled;
    workload.opted_in = true;
    workload.netns_path = "/run/netns/" + prefix + number;
    workload.probe_ports = {80, 81};
    workloads.push_back(std::move(workload));
  }
  Begin();
  agent_->Apply({});
  const int fds = OpenFds();
  agent_->Apply(workloads);
  for (const model::Workload& workload : workloads) {
    ASSERT_TRUE(agent_->AwaitState(workload.name, PodState::kEnrolled))
        << agent_->Status(workload.name).reason;
    EXPECT_EQ(agent_->Status(workload.name).host_interface, workload.name);
  }
  agent_->Apply({});
  EXPECT_TRUE(Await([&] { return OpenFds() == fds; }))
      << fds << " then " << OpenFds();
  each("echo netns del $n", "ip -batch -");
}

TEST_F(EnrollerTest, MissingCgroupIsNamed) {
  LoopThread thread;
  FakeSink sink;
  Options options;
  options.bpf_dir = bpf_ + "/nodeward";
  options.cgroup = "no/such/group";
  thread.Do([&] {
    const auto started = Enroller::Start(thread.loop(), options, &sink);
    EXPECT_THAT(std::string(started.status().message()),
                HasSubstr("no/such/group"));
  });
}

}  // namespace
}  // namespace nodeward::capture
