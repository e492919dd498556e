// SPDX-License-Identifier: Apache-2.0
//
// bpf/guard.bpf.c alone: a packet in, a verdict out. A packet in a test run
// belongs to a socket that is not the agent's; those that are need a wire, see
// guard_test.cc.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>
#include <vector>

#include "base/handle.h"
#include "guard.skel.h"
#include "kernel/address.h"
#include "kernel/netns_fixture.h"
#include "kernel/packet.h"

namespace nodeward::kernel {
namespace {

using test::At;
using test::Bytes;
using test::Extension;
using test::Ip;
using test::kAck;
using test::kSyn;
using test::Tcp;
using test::V4;
using test::V6;

constexpr int kNext = -1, kDrop = 2;
constexpr uint8_t kFin = 0x01, kRst = 0x04, kPush = 0x08, kUrgent = 0x20;

class GuardProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    program_.reset(guard_bpf::open_and_load());
    ASSERT_NE(program_, nullptr);
    for (const base::Endpoint& pod : {peer4_, peer6_})
      Know(pod.address, NODEWARD_CAPTURE | NODEWARD_OF_MESH);
  }

  void Know(const base::IpAddress& address, uint32_t action) {
    nodeward_destination_key key{};
    key.address = ToAbi(address);
    const nodeward_destination value{action};
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(program_->maps.destinations),
                                  &key, &value, BPF_ANY),
              0);
  }
  void Set(uint32_t mesh_cidrs, uint32_t capture_unknown) {
    const uint32_t zero = 0;
    const nodeward_settings value{mesh_cidrs, capture_unknown};
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(program_->maps.settings), &zero,
                                  &value, BPF_ANY),
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
    EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(program_->progs.guard),
                                     &options),
              0);
    EXPECT_EQ(out.substr(0, packet.size()), packet) << "changed the packet";
    return static_cast<int>(options.retval);
  }
  int Open(const base::Endpoint& to, uint8_t flags = kSyn) {
    return to.address.is_v4()
               ? Run(V4(pod4_, to, Tcp(pod4_, to, flags)))
               : Run(V6(pod6_, to, IPPROTO_TCP, Tcp(pod6_, to, flags)));
  }
  uint64_t Count(uint32_t which) {
    std::vector<uint64_t> values(libbpf_num_possible_cpus());
    EXPECT_EQ(bpf_map_lookup_elem(bpf_map__fd(program_->maps.counters), &which,
                                  values.data()),
              0);
    uint64_t total = 0;
    for (uint64_t value : values) total += value;
    return total;
  }

  const base::Endpoint pod4_ = At("10.0.0.5:4000"),
                       pod6_ = At("[fd00::5]:4000");
  const base::Endpoint peer4_ = At("10.0.0.9:80"), peer6_ = At("[fd00::9]:80");
  test::Sandbox sandbox_;
  test::Netns netns_;
  base::Handle<guard_bpf, guard_bpf::destroy> program_;
};

TEST_F(GuardProgramTest, PlaintextToAPodOfTheMeshIsDropped) {
  EXPECT_EQ(Open(peer4_), kDrop);
  EXPECT_EQ(Open(peer6_), kDrop);
  EXPECT_EQ(Count(NODEWARD_COUNT_GUARD_REFUSED), 2u);
  EXPECT_EQ(Count(NODEWARD_COUNT_GUARD_MALFORMED), 0u);
}

TEST_F(GuardProgramTest, TunnelsAndOthersPass) {
  EXPECT_EQ(Open({peer4_.address, 15008}), kNext);
  EXPECT_EQ(Open({peer6_.address, 15008}), kNext);
  EXPECT_EQ(Open(At("192.0.2.1:80")), kNext);
  EXPECT_EQ(Open(At("[2001:db8::1]:80")), kNext);
  EXPECT_EQ(Count(NODEWARD_COUNT_GUARD_REFUSED), 0u);
}

TEST_F(GuardProgramTest, WhateverElseASynCarries) {
  for (int more : {+kFin, +kRst, +kPush, +kUrgent, 0xc0, 0xed})
    EXPECT_EQ(Open(peer4_, kSyn | more), kDrop) << more;
}

TEST_F(GuardProgramTest, AnswersOfConnectionsThatOthersOpenedPass) {
  for (int flags :
       {kSyn | kAck, +kAck, kAck | kPush, kAck | kFin, +kRst, kRst | kAck}) {
    EXPECT_EQ(Open(peer4_, flags), kNext) << flags;
    EXPECT_EQ(Open(peer6_, flags), kNext) << flags;
  }
}

TEST_F(GuardProgramTest, AServicesAddressIsNoPods) {
  const base::Endpoint vip = At("10.96.0.1:15008");
  Know(vip.address, NODEWARD_REFUSE | NODEWARD_LOOK_AT_PORT | NODEWARD_OF_MESH);
  // Its port 15008 may be another one of the pods behind it.
  EXPECT_EQ(Open(vip), kDrop);
  EXPECT_EQ(Open({vip.address, 80}), kDrop);
}

TEST_F(GuardProgramTest, WhatARuleSecuresOutsideOfTheMeshPasses) {
  Know(Ip("192.0.2.7"), NODEWARD_CAPTURE);
  EXPECT_EQ(Open(At("192.0.2.7:27017")), kNext);
}

TEST_F(GuardProgramTest, ALinkLocalAddressMayBeAnyPods) {
  for (const char* neighbour : {"[fe80::1]:80", "[febf:ffff::1]:15008"})
    EXPECT_EQ(Open(At(neighbour)), kDrop) << neighbour;
  for (const char* other : {"[fec0::1]:80", "[fe7f::1]:80", "169.254.1.1:80"})
    EXPECT_EQ(Open(At(other)), kNext) << other;
  EXPECT_EQ(Count(NODEWARD_COUNT_GUARD_REFUSED), 2u);
}

TEST_F(GuardProgramTest, WhatMayBeOfTheMeshIsDropped) {
  const base::Endpoint unknown = At("10.1.2.3:80"), six = At("[fd01::7]:80");
  nodeward_cidr_key block{};
  block.prefix = 96 + 16;
  block.address = ToAbi(Ip("10.1.0.0"));
  const uint32_t one = 1;
  ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(program_->maps.mesh_cidrs), &block,
                                &one, BPF_ANY),
            0);
  EXPECT_EQ(Open(unknown), kNext);
  Set(1, 0);
  EXPECT_EQ(Open(unknown), kDrop);
  EXPECT_EQ(Open({unknown.address, 15008}), kDrop);
  EXPECT_EQ(Open(six), kNext);
  // Some destinations did not fit.
  Set(0, 1);
  EXPECT_EQ(Open(unknown), kDrop);
  EXPECT_EQ(Open(six), kDrop);
  EXPECT_EQ(Open(peer4_), kDrop);
  EXPECT_EQ(Open({peer4_.address, 15008}), kNext);
}

TEST_F(GuardProgramTest, FragmentsDoNotHideTheSyn) {
  const std::string tcp = Tcp(pod4_, peer4_, kSyn);
  EXPECT_EQ(Run(V4(pod4_, peer4_, tcp, 0x2000)), kDrop);
  // The flags in the next fragment: may be a SYN, so it is one.
  EXPECT_EQ(Run(V4(pod4_, peer4_, tcp.substr(0, 8), 0x2000)), kDrop);
  EXPECT_EQ(Count(NODEWARD_COUNT_GUARD_REFUSED), 2u);
  // Not even the ports.
  EXPECT_EQ(Run(V4(pod4_, peer4_, tcp.substr(0, 2), 0x2000)), kDrop);
  EXPECT_EQ(Count(NODEWARD_COUNT_GUARD_MALFORMED), 1u);
  // Without the first one nobody puts it together.
  EXPECT_EQ(Run(V4(pod4_, peer4_, tcp.substr(8), 0x0001)), kNext);
  const std::string six = Tcp(pod6_, peer6_, kSyn);
  const std::string first = Bytes({IPPROTO_TCP, 0, 0, 1, 0, 0, 0, 1});
  EXPECT_EQ(Run(V6(pod6_, peer6_, 44, first + six)), kDrop);
  EXPECT_EQ(Run(V6(pod6_, peer6_, 44, first + six.substr(0, 8))), kDrop);
  EXPECT_EQ(Run(V6(pod6_, peer6_, 44, first)), kDrop);
}

TEST_F(GuardProgramTest, ExtensionHeadersDoNotHideTheSyn) {
  const std::string tcp = Tcp(pod6_, peer6_, kSyn);
  EXPECT_EQ(
      Run(V6(pod6_, peer6_, 0, Extension(60) + Extension(IPPROTO_TCP) + tcp)),
      kDrop);
  const base::Endpoint tunnel{peer6_.address, 15008};
  EXPECT_EQ(Run(V6(pod6_, tunnel, 60,
                   Extension(IPPROTO_TCP) + Tcp(pod6_, tunnel, kSyn))),
            kNext);
  std::string chain;
  for (int i = 0; i < 9; ++i) chain += Extension(60);
  EXPECT_EQ(Run(V6(pod6_, At("[2001:db8::1]:80"), 60, chain + tcp)), kDrop);
  EXPECT_EQ(Count(NODEWARD_COUNT_GUARD_MALFORMED), 1u);
}

TEST_F(GuardProgramTest, ASynThatMayGoElsewhereIsDropped) {
  const base::Endpoint other = At("192.0.2.1:80"), six = At("[2001:db8::1]:80");
  // A loose source route; nobody looks whether it is one.
  const std::string route = Bytes({131, 7, 4, 10, 0, 0, 9, 0});
  EXPECT_EQ(Run(V4(pod4_, other, Tcp(pod4_, other, kSyn), 0, route)), kDrop);
  EXPECT_EQ(Run(V4(pod4_, other, Tcp(pod4_, other, kAck), 0, route)), kNext);
  EXPECT_EQ(Run(V6(pod6_, six, 43,
                   Extension(IPPROTO_TCP, 2) + Tcp(pod6_, six, kSyn))),
            kDrop);
  EXPECT_EQ(Count(NODEWARD_COUNT_GUARD_MALFORMED), 2u);
}

TEST_F(GuardProgramTest, ASecondVlanTagIsDropped) {
  std::string packet = V4(pod4_, peer4_, Tcp(pod4_, peer4_, kAck));
  const std::string tag = Bytes({0x81, 0x00, 0x00, 0x00});
  EXPECT_EQ(Run(packet.substr(0, 12) + tag + packet.substr(12)), kDrop);
  const std::string outer = Bytes({0x88, 0xa8, 0x00, 0x00});
  EXPECT_EQ(Run(packet.substr(0, 12) + outer + packet.substr(12)), kDrop);
}

TEST_F(GuardProgramTest, PassesWhatIsNotTcpOrTooShort) {
  const std::string bytes(20, '\0');
  EXPECT_EQ(Run(V4(pod4_, peer4_, bytes, 0, "", IPPROTO_UDP)), kNext);
  EXPECT_EQ(Run(V6(pod6_, peer6_, IPPROTO_ICMPV6, bytes)), kNext);
  EXPECT_EQ(Run(std::string(12, '\x02') + Bytes({0x08, 0x06}) +
                std::string(28, '\0')),
            kNext);
  EXPECT_EQ(Run(V4(pod4_, peer4_, std::string(3, '\0'))), kNext);
}

}  // namespace
}  // namespace nodeward::kernel
