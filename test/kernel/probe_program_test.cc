// SPDX-License-Identifier: Apache-2.0
//
// bpf/probe.bpf.c alone: a packet in, verdict and exemption out. A packet in a
// test run belongs to a socket in the cgroup of whoever runs it; one that
// belongs to none needs a wire, see probes_test.cc.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <string>

#include "base/handle.h"
#include "kernel/address.h"
#include "kernel/netns_fixture.h"
#include "kernel/packet.h"
#include "probe.skel.h"

namespace nodeward::kernel {
namespace {

using test::At;
using test::Bytes;
using test::Extension;
using test::kAck;
using test::kSyn;
using test::Tcp;
using test::V4;
using test::V6;

constexpr uint64_t kCookie = 99;
constexpr uint32_t kLo = 1;  // the interface of a test run
constexpr int kNext = -1, kDrop = 2;

class ProbeProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    program_.reset(probe_bpf::open_and_load());
    ASSERT_NE(program_, nullptr);
    SetVeth(false);
    uint64_t kubelet = test::Sandbox::CgroupId(sandbox_.cgroup());
    Put(program_->maps.kubelet_cgroups, kubelet);
    Put(program_->maps.node_addresses, ToAbi(node4_.address));
    Put(program_->maps.node_addresses, ToAbi(node6_.address));
    Put(program_->maps.probe_ports, PortKey(pod4_));
    Put(program_->maps.probe_ports, PortKey(pod6_));
  }

  void SetVeth(bool closed) {
    nodeward_veth veth{};
    veth.cookie = kCookie;
    veth.closed = closed;
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(program_->maps.veths), &kLo,
                                  &veth, BPF_ANY),
              0);
  }
  static nodeward_probe_key PortKey(const base::Endpoint& port) {
    nodeward_probe_key key{};
    key.cookie = kCookie;
    key.address = ToAbi(port.address);
    key.port = htons(port.port);
    return key;
  }
  template <typename Key>
  void Put(bpf_map* map, const Key& key) {
    uint32_t one = 1;
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(map), &key, &one, BPF_ANY), 0);
  }
  template <typename Key>
  void Remove(bpf_map* map, const Key& key) {
    ASSERT_EQ(bpf_map_delete_elem(bpf_map__fd(map), &key), 0);
  }

  static nodeward_tuple TupleOf(const base::Endpoint& from,
                                const base::Endpoint& to) {
    nodeward_tuple tuple{};
    tuple.cookie = kCookie;
    tuple.local = ToAbi(to.address);
    tuple.local_port = htons(to.port);
    tuple.remote = ToAbi(from.address);
    tuple.remote_port = htons(from.port);
    return tuple;
  }
  bool IsExempt(const base::Endpoint& from, const base::Endpoint& to) {
    nodeward_tuple tuple = TupleOf(from, to);
    uint64_t since = 0;
    return bpf_map_lookup_elem(bpf_map__fd(program_->maps.exempt), &tuple,
                               &since) == 0;
  }
  void MakeExempt(const base::Endpoint& from, const base::Endpoint& to) {
    nodeward_tuple tuple = TupleOf(from, to);
    uint64_t since = 1;
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(program_->maps.exempt), &tuple,
                                  &since, BPF_ANY),
              0);
  }

  int Run(const std::string& packet) {
    LIBBPF_OPTS(bpf_test_run_opts, options);
    std::string out(packet.size() + 256, '\0');
    options.data_in = packet.data();
    options.data_size_in = packet.size();
    options.data_out = out.data();
    options.data_size_out = out.size();
    test::InNetns inside(netns_);
    EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(program_->progs.probe),
                                     &options),
              0);
    EXPECT_EQ(out.substr(0, packet.size()), packet) << "changed the packet";
    return static_cast<int>(options.retval);
  }
  std::string Probe4(uint8_t flags = kSyn) {
    return V4(node4_, pod4_, Tcp(node4_, pod4_, flags));
  }

  const base::Endpoint node4_ = At("10.0.0.1:4000"),
                       node6_ = At("[fd00::1]:4000");
  const base::Endpoint pod4_ = At("10.0.0.5:80"), pod6_ = At("[fd00::5]:80");
  test::Sandbox sandbox_;
  test::Netns netns_;
  base::Handle<probe_bpf, probe_bpf::destroy> program_;
};

TEST_F(ProbeProgramTest, ExemptsTheKubelet) {
  EXPECT_EQ(Run(Probe4()), kNext);
  EXPECT_TRUE(IsExempt(node4_, pod4_));
  EXPECT_EQ(Run(V6(node6_, pod6_, IPPROTO_TCP, Tcp(node6_, pod6_, kSyn))),
            kNext);
  EXPECT_TRUE(IsExempt(node6_, pod6_));
}

TEST_F(ProbeProgramTest, DecidesAtTheSynAlone) {
  for (int flags : {0x10, 0x12, 0x11, 0x04, 0x18})
    EXPECT_EQ(Run(Probe4(flags)), kNext);
  EXPECT_FALSE(IsExempt(node4_, pod4_));
  // Nor do later packets take it back.
  MakeExempt(node4_, pod4_);
  Remove(program_->maps.node_addresses, ToAbi(node4_.address));
  EXPECT_EQ(Run(Probe4(kAck)), kNext);
  EXPECT_TRUE(IsExempt(node4_, pod4_));
  EXPECT_EQ(Run(Probe4(kSyn)), kNext);
  EXPECT_FALSE(IsExempt(node4_, pod4_));
}

TEST_F(ProbeProgramTest, EveryConditionCounts) {
  uint64_t kubelet = test::Sandbox::CgroupId(sandbox_.cgroup());
  Remove(program_->maps.kubelet_cgroups, kubelet);
  MakeExempt(node4_, pod4_);
  EXPECT_EQ(Run(Probe4()), kNext);
  EXPECT_FALSE(IsExempt(node4_, pod4_)) << "another cgroup";
  Put(program_->maps.kubelet_cgroups, kubelet);

  Remove(program_->maps.node_addresses, ToAbi(node4_.address));
  MakeExempt(node4_, pod4_);
  EXPECT_EQ(Run(Probe4()), kNext);
  EXPECT_FALSE(IsExempt(node4_, pod4_)) << "another source";
  Put(program_->maps.node_addresses, ToAbi(node4_.address));

  Remove(program_->maps.probe_ports, PortKey(pod4_));
  MakeExempt(node4_, pod4_);
  EXPECT_EQ(Run(Probe4()), kNext);
  EXPECT_FALSE(IsExempt(node4_, pod4_)) << "another port";
  Put(program_->maps.probe_ports, PortKey(pod4_));

  EXPECT_EQ(Run(Probe4()), kNext);
  EXPECT_TRUE(IsExempt(node4_, pod4_));
}

TEST_F(ProbeProgramTest, OptionsInTheHeaderDoNotHideTheSyn) {
  std::string options(20, '\x01');
  EXPECT_EQ(Run(V4(node4_, pod4_, Tcp(node4_, pod4_, kSyn), 0, options)),
            kNext);
  EXPECT_TRUE(IsExempt(node4_, pod4_));
  Remove(program_->maps.node_addresses, ToAbi(node4_.address));
  EXPECT_EQ(Run(V4(node4_, pod4_, Tcp(node4_, pod4_, kSyn), 0, options)),
            kNext);
  EXPECT_FALSE(IsExempt(node4_, pod4_));
}

TEST_F(ProbeProgramTest, FragmentIsNeverAttested) {
  MakeExempt(node4_, pod4_);
  EXPECT_EQ(Run(V4(node4_, pod4_, Tcp(node4_, pod4_, kSyn), 0x2000)), kNext);
  EXPECT_FALSE(IsExempt(node4_, pod4_));
  // The flags in the next fragment: may be a SYN, so it is one.
  MakeExempt(node4_, pod4_);
  std::string start = Tcp(node4_, pod4_, kSyn).substr(0, 8);
  EXPECT_EQ(Run(V4(node4_, pod4_, start, 0x2000)), kNext);
  EXPECT_FALSE(IsExempt(node4_, pod4_));
  SetVeth(true);
  EXPECT_EQ(Run(V4(node4_, pod4_, start, 0x2000)), kDrop);
  // A later fragment holds no ports.
  EXPECT_EQ(Run(V4(node4_, pod4_, std::string(16, '\0'), 0x0001)), kNext);
}

TEST_F(ProbeProgramTest, FollowsIpv6ExtensionHeaders) {
  std::string tcp = Tcp(node6_, pod6_, kSyn);
  EXPECT_EQ(
      Run(V6(node6_, pod6_, 0,
             Extension(60) + Extension(43, 1) + Extension(IPPROTO_TCP) + tcp)),
      kNext);
  EXPECT_TRUE(IsExempt(node6_, pod6_));
}

TEST_F(ProbeProgramTest, Ipv6FragmentIsNeverAttested) {
  std::string tcp = Tcp(node6_, pod6_, kSyn);
  for (int more : {0, 1}) {
    MakeExempt(node6_, pod6_);
    std::string header = Bytes({IPPROTO_TCP, 0, 0, more, 0, 0, 0, 1});
    EXPECT_EQ(Run(V6(node6_, pod6_, 44, header + tcp)), kNext);
    EXPECT_FALSE(IsExempt(node6_, pod6_)) << more;
  }
}

TEST_F(ProbeProgramTest, EndlessExtensionHeadersAreDropped) {
  std::string chain;
  for (int i = 0; i < 9; ++i) chain += Extension(60);
  EXPECT_EQ(Run(V6(node6_, pod6_, 60, chain + Tcp(node6_, pod6_, kSyn))),
            kDrop);
  EXPECT_FALSE(IsExempt(node6_, pod6_));
}

TEST_F(ProbeProgramTest, Ipv6FragmentThatHidesItsHeadersIsDropped) {
  std::string first = Bytes({60, 0, 0, 1, 0, 0, 0, 1});
  EXPECT_EQ(Run(V6(node6_, pod6_, 44, first)), kDrop);
  EXPECT_EQ(Run(V6(node6_, pod6_, 44, first + Extension(IPPROTO_TCP))), kDrop);
  EXPECT_EQ(Run(V6(node6_, pod6_, 44,
                   first + Extension(IPPROTO_UDP) + std::string(8, '\0'))),
            kNext);
}

TEST_F(ProbeProgramTest, ClosedVethDropsPlaintextSyns) {
  SetVeth(true);
  const base::Endpoint stranger = At("10.0.0.9:4000");
  EXPECT_EQ(Run(V4(stranger, pod4_, Tcp(stranger, pod4_, kSyn))), kDrop);
  EXPECT_EQ(Run(V4(stranger, pod4_, Tcp(stranger, pod4_, kAck))), kNext);
  const base::Endpoint hbone{pod4_.address, 15008};
  EXPECT_EQ(Run(V4(stranger, hbone, Tcp(stranger, hbone, kSyn))), kNext);
  EXPECT_EQ(Run(Probe4()), kNext);
  EXPECT_TRUE(IsExempt(node4_, pod4_));
}

TEST_F(ProbeProgramTest, PassesWhatIsNotTcp) {
  SetVeth(true);
  std::string udp(20, '\0');
  EXPECT_EQ(Run(V4(node4_, pod4_, udp, 0, "", IPPROTO_UDP)), kNext);
  EXPECT_EQ(Run(V6(node6_, pod6_, IPPROTO_ICMPV6, udp)), kNext);
  // ARP
  EXPECT_EQ(Run(std::string(12, '\x02') + Bytes({0x08, 0x06}) +
                std::string(28, '\0')),
            kNext);
}

TEST_F(ProbeProgramTest, PassesWhatIsTooShort) {
  SetVeth(true);
  EXPECT_EQ(Run(V4(node4_, pod4_, std::string(3, '\0'))), kNext);
  EXPECT_EQ(Run(V6(node6_, pod6_, 60, Bytes({6, 0}))), kNext);
}

TEST_F(ProbeProgramTest, ForgottenVethPassesEverything) {
  uint32_t lo = kLo;
  Remove(program_->maps.veths, lo);
  EXPECT_EQ(Run(Probe4()), kNext);
  EXPECT_FALSE(IsExempt(node4_, pod4_));
}

TEST_F(ProbeProgramTest, SynSentAgainIsOneEvent) {
  EXPECT_EQ(Run(Probe4()), kNext);
  EXPECT_EQ(Run(Probe4()), kNext);
  uint32_t which = NODEWARD_COUNT_PROBE_EXEMPTED;
  std::vector<uint64_t> values(libbpf_num_possible_cpus());
  ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(program_->maps.counters), &which,
                                values.data()),
            0);
  uint64_t total = 0;
  for (uint64_t value : values) total += value;
  EXPECT_EQ(total, 1u);
}

}  // namespace
}  // namespace nodeward::kernel
