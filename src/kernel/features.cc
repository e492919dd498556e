// SPDX-License-Identifier: Apache-2.0
#include "kernel/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <climits>

#include "base/fd.h"
#include "kernel/verifier_log.h"
#include "kernel/veth.h"

namespace nodeward::kernel {
namespace {

// "r0 = TCX_NEXT; exit"
base::Fd LoadNothing() {
  const bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K,
       .dst_reg = BPF_REG_0,
       .src_reg = 0,
       .off = 0,
       .imm = -1},
      {.code = BPF_JMP | BPF_EXIT,
       .dst_reg = 0,
       .src_reg = 0,
       .off = 0,
       .imm = 0},
  };
  return base::Fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "nothing", "GPL",
                                instructions, 2, nullptr));
}

// A kernel with tcx looks for the (absent) interface; one without does not know
// the hook.
bool HasTcx() {
  base::Fd program = LoadNothing();
  if (!program.valid()) return false;
  base::Fd link(bpf_link_create(program.get(), INT_MAX,
                                static_cast<bpf_attach_type>(kTcxEgress),
                                nullptr));
  return link.valid() || errno == ENODEV;
}

}  // namespace

Features ProbeFeatures() {
  VerifierLog quiet;
  Features features;
  features.tcx = HasTcx();
  features.set_retval =
      libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
                              BPF_FUNC_set_retval, nullptr) == 1;
  return features;
}

}  // namespace nodeward::kernel
