// SPDX-License-Identifier: Apache-2.0
//
// bpf/lookup.bpf.c alone: a look-up in, verdict and chosen socket out. A test
// run has no ingress interface; for what comes over lo see inbound_test.cc.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <cstring>
#include <utility>

#include "base/handle.h"
#include "kernel/address.h"
#include "kernel/netns_fixture.h"
#include "kernel/stream_fixture.h"
#include "lookup.skel.h"

namespace nodeward::kernel {
namespace {

using test::At;

constexpr uint64_t kCookie = 0x1234567890ull;
class LookupProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    program_.reset(lookup_bpf::open());
    ASSERT_NE(program_, nullptr);
    program_->rodata->netns_cookie = kCookie;
    ASSERT_EQ(lookup_bpf::load(program_.get()), 0);
    listener4_ = test::Listen(netns_, At("127.0.0.1:15006"));
    listener6_ = test::Listen(netns_, At("[::1]:15006"));
    hbone_ = test::Listen(netns_, At("[::]:15008"));
    Fill(NODEWARD_SLOT_INBOUND4, listener4_.get());
    Fill(NODEWARD_SLOT_INBOUND6, listener6_.get());
    Fill(NODEWARD_SLOT_HBONE, hbone_.get());
  }

  void Fill(uint32_t slot, uint64_t fd) {
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(program_->maps.listeners), &slot,
                                  &fd, BPF_ANY),
              0);
  }
  void Empty(uint32_t slot) {
    ASSERT_EQ(bpf_map_delete_elem(bpf_map__fd(program_->maps.listeners), &slot),
              0);
  }
  void Exempt(const base::Endpoint& local, const base::Endpoint& remote,
              uint64_t age_nanoseconds, uint64_t cookie = kCookie) {
    nodeward_tuple tuple{};
    tuple.cookie = cookie;
    tuple.local = ToAbi(local.address);
    tuple.local_port = htons(local.port);
    tuple.remote = ToAbi(remote.address);
    tuple.remote_port = htons(remote.port);
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t since = now.tv_sec * 1000000000ull + now.tv_nsec - age_nanoseconds;
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(program_->maps.exempt), &tuple,
                                  &since, BPF_ANY),
              0);
  }

  struct Verdict {
    int action;
    uint64_t socket;  // cookie of the chosen one, 0: none
  };
  Verdict Run(const base::Endpoint& local, const base::Endpoint& remote,
              int protocol = IPPROTO_TCP) {
    bpf_sk_lookup context{};
    context.family = local.address.family();
    context.protocol = protocol;
    context.local_port = local.port;
    context.remote_port = htons(remote.port);
    if (local.address.is_v4()) {
      context.local_ip4 = local.address.v4();
      context.remote_ip4 = remote.address.v4();
    } else {
      std::memcpy(context.local_ip6, local.address.bytes().data(), 16);
      std::memcpy(context.remote_ip6, remote.address.bytes().data(), 16);
    }
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.ctx_in = options.ctx_out = &context;
    options.ctx_size_in = options.ctx_size_out = sizeof(context);
    EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(program_->progs.lookup),
                                     &options),
              0);
    return {static_cast<int>(options.retval), context.cookie};
  }
  static uint64_t CookieOf(int fd) {
    uint64_t cookie = 0;
    socklen_t size = sizeof(cookie);
    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);
    return cookie;
  }

  const base::Endpoint pod4_ = At("10.0.0.5:80"), pod6_ = At("[fd00::5]:80");
  const base::Endpoint peer4_ = At("10.0.0.9:4000"),
                       peer6_ = At("[fd00::9]:4000");
  test::Netns netns_;
  base::Handle<lookup_bpf, lookup_bpf::destroy> program_;
  base::Fd listener4_, listener6_, hbone_;
};

TEST_F(LookupProgramTest, GivesTheListenerOfTheFamily) {
  Verdict v = Run(pod4_, peer4_);
  EXPECT_EQ(v.action, SK_PASS);
  EXPECT_EQ(v.socket, CookieOf(listener4_.get()));
  v = Run(pod6_, peer6_);
  EXPECT_EQ(v.action, SK_PASS);
  EXPECT_EQ(v.socket, CookieOf(listener6_.get()));
}

TEST_F(LookupProgramTest, DropsWithoutListener) {
  Empty(NODEWARD_SLOT_INBOUND4);
  EXPECT_EQ(Run(pod4_, peer4_).action, SK_DROP);
  EXPECT_EQ(Run(pod6_, peer6_).action, SK_PASS);
  Empty(NODEWARD_SLOT_INBOUND6);
  EXPECT_EQ(Run(pod6_, peer6_).action, SK_DROP);
}

TEST_F(LookupProgramTest, GivesTheHboneListenerForBothFamilies) {
  for (const auto& [pod, peer] :
       {std::pair(pod4_, peer4_), std::pair(pod6_, peer6_)}) {
    const Verdict v = Run({pod.address, 15008}, peer);
    EXPECT_EQ(v.action, SK_PASS);
    EXPECT_EQ(v.socket, CookieOf(hbone_.get()));
  }
}

TEST_F(LookupProgramTest, DropsHboneWithoutListenerExemptOrNot) {
  Empty(NODEWARD_SLOT_HBONE);
  EXPECT_EQ(Run({pod4_.address, 15008}, peer4_).action, SK_DROP);
  Exempt({pod4_.address, 15008}, peer4_, 0);
  EXPECT_EQ(Run({pod4_.address, 15008}, peer4_).action, SK_DROP);
  EXPECT_EQ(Run(pod4_, peer4_).action, SK_PASS);
}

TEST_F(LookupProgramTest, PassesThePodToItself) {
  Empty(NODEWARD_SLOT_INBOUND4);
  Empty(NODEWARD_SLOT_INBOUND6);
  EXPECT_EQ(Run(pod4_, {pod4_.address, 9}).action, SK_PASS);
  EXPECT_EQ(Run(pod6_, {pod6_.address, 9}).action, SK_PASS);
}

TEST_F(LookupProgramTest, ComparesWholeIpv6Addresses) {
  Empty(NODEWARD_SLOT_INBOUND6);
  for (const char* near :
       {"[fd01::5]:9", "[fd00:0:1::5]:9", "[fd00::1:0:0:5]:9", "[fd00::6]:9"})
    EXPECT_EQ(Run(pod6_, At(near)).action, SK_DROP) << near;
}

TEST_F(LookupProgramTest, PassesWhatIsExempt) {
  Empty(NODEWARD_SLOT_INBOUND4);
  Empty(NODEWARD_SLOT_INBOUND6);
  Exempt(pod4_, peer4_, 0);
  Exempt(pod6_, peer6_, 0);
  EXPECT_EQ(Run(pod4_, peer4_).action, SK_PASS);
  EXPECT_EQ(Run(pod6_, peer6_).action, SK_PASS);
  // Not consumed: SYN cookies look twice.
  EXPECT_EQ(Run(pod4_, peer4_).action, SK_PASS);
}

TEST_F(LookupProgramTest, ExemptionIsForThatTupleAlone) {
  Empty(NODEWARD_SLOT_INBOUND4);
  Exempt(pod4_, peer4_, 0);
  EXPECT_EQ(Run(pod4_, {peer4_.address, 4001}).action, SK_DROP);
  EXPECT_EQ(Run({pod4_.address, 81}, peer4_).action, SK_DROP);
  EXPECT_EQ(Run(pod4_, At("10.0.0.8:4000")).action, SK_DROP);
}

TEST_F(LookupProgramTest, ExemptionIsForThatPodAlone) {
  Empty(NODEWARD_SLOT_INBOUND4);
  Exempt(pod4_, peer4_, 0, kCookie + 1);
  EXPECT_EQ(Run(pod4_, peer4_).action, SK_DROP);
}

TEST_F(LookupProgramTest, ExemptionEnds) {
  Empty(NODEWARD_SLOT_INBOUND4);
  Exempt(pod4_, peer4_, NODEWARD_EXEMPT_NANOSECONDS + 1);
  EXPECT_EQ(Run(pod4_, peer4_).action, SK_DROP);
}

TEST_F(LookupProgramTest, LeavesUdpAlone) {
  Empty(NODEWARD_SLOT_INBOUND4);
  EXPECT_EQ(Run(pod4_, peer4_, IPPROTO_UDP).action, SK_PASS);
}

TEST_F(LookupProgramTest, CountsEveryVerdict) {
  Run(pod4_, peer4_);
  Run({pod4_.address, 15008}, peer4_);
  Run(pod4_, {pod4_.address, 9});
  Exempt(pod4_, peer4_, 0);
  Run(pod4_, peer4_);
  Empty(NODEWARD_SLOT_INBOUND6);
  Run(pod6_, peer6_);
  for (uint32_t which :
       {NODEWARD_COUNT_LOOKUP_CAPTURED, NODEWARD_COUNT_LOOKUP_HBONE,
        NODEWARD_COUNT_LOOKUP_LOCAL, NODEWARD_COUNT_LOOKUP_EXEMPT,
        NODEWARD_COUNT_LOOKUP_NO_LISTENER}) {
    std::vector<uint64_t> values(libbpf_num_possible_cpus());
    ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(program_->maps.counters), &which,
                                  values.data()),
              0);
    uint64_t total = 0;
    for (uint64_t value : values) total += value;
    EXPECT_EQ(total, 1u) << which;
  }
}

}  // namespace
}  // namespace nodeward::kernel
