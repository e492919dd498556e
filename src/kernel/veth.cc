// SPDX-License-Identifier: Apache-2.0
#include "kernel/veth.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <charconv>

#include "base/text.h"
#include "kernel/link.h"
#include "kernel/pin.h"
#include "kernel/verifier_log.h"

namespace nodeward::kernel {
namespace {

constexpr std::string_view kFilter = "-clsact";
constexpr std::string_view kIngressFilter = "-clsact-ingress";
constexpr uint32_t kHandle = 0x6e77;  // "nw"
constexpr uint32_t kPriority = 1;     // first of all filters
constexpr uint32_t kBefore = 1 << 3;  // BPF_F_BEFORE: the head, with no other

// Seen from the host, what goes to the pod leaves by the veth.
bpf_tc_hook HookOf(int ifindex, VethHook::Way way) {
  LIBBPF_OPTS(bpf_tc_hook, hook);
  hook.ifindex = ifindex;
  hook.attach_point =
      way == VethHook::Way::kToPod ? BPF_TC_EGRESS : BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts FilterOf() {
  LIBBPF_OPTS(bpf_tc_opts, filter);
  filter.handle = kHandle;
  filter.priority = kPriority;
  return filter;
}

uint32_t ProgramId(int fd) {
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

}  // namespace

const char* VethHook::What() const {
  return way_ == Way::kToPod ? "probe" : "guard";
}

std::string VethHook::LinkPath() const {
  return base::StrCat(directory_, "/", ifindex_);
}

std::string VethHook::FilterPath() const {
  return base::StrCat(directory_, "/", ifindex_,
                      way_ == Way::kToPod ? kFilter : kIngressFilter);
}

int VethHook::InterfaceOf(const std::string& name) {
  int ifindex = 0;
  auto [end, error] =
      std::from_chars(name.data(), name.data() + name.size(), ifindex);
  std::string_view rest(end, name.data() + name.size() - end);
  if (error != std::errc() ||
      (!rest.empty() && rest != kFilter && rest != kIngressFilter))
    return 0;
  return ifindex;
}

VethHook::Way VethHook::WayOf(const std::string& name) {
  return name.ends_with(kIngressFilter) ? Way::kFromPod : Way::kToPod;
}

base::Status VethHook::Attach(int program, bool tcx) {
  if (!tcx) return AttachFilter(program);
  uint32_t wanted = ifindex_;
  return AttachPinned(
      LinkPath(), program,
      {.target = ifindex_,
       .hook = way_ == Way::kToPod ? kTcxEgress : kTcxIngress,
       .flags = kBefore,
       .name = base::StrCat(What(), " to interface ", ifindex_)},
      // The interface stands first in the answer, as it does for XDP; it is 0
      // once the interface is gone.
      [wanted](const bpf_link_info& i) { return i.xdp.ifindex == wanted; });
}

base::Status VethHook::AttachFilter(int program) {
  VerifierLog log;
  bpf_tc_hook hook = HookOf(ifindex_, way_);
  if (int error = bpf_tc_hook_create(&hook); error != 0 && error != -EEXIST)
    return base::ErrnoStatus(
        -error, base::StrCat("make clsact on interface ", ifindex_));
  // The pin first: a filter without one would be nobody's to remove.
  NODEWARD_TRY(Pin(program, FilterPath()));
  bpf_tc_opts filter = FilterOf();
  filter.prog_fd = program;
  filter.flags = BPF_TC_F_REPLACE;
  if (int error = bpf_tc_attach(&hook, &filter); error != 0)
    return base::ErrnoStatus(
        -error, base::StrCat("attach ", What(), " to clsact of interface ",
                             ifindex_, ": ", log.Tail()));
  return base::OkStatus();
}

base::Status VethHook::Detach() {
  NODEWARD_TRY(DetachPinned(LinkPath()));
  return DetachFilter();
}

base::Status VethHook::DetachFilter() {
  auto pinned = OpenPin(FilterPath());
  if (absl::IsNotFound(pinned.status())) return base::OkStatus();
  NODEWARD_TRY(pinned.status());
  VerifierLog quiet;
  bpf_tc_hook hook = HookOf(ifindex_, way_);
  bpf_tc_opts filter = FilterOf();
  // Only what is ours: the interface may have gone and its number be another's.
  // The qdisc stays, others may use it.
  if (bpf_tc_query(&hook, &filter) == 0 &&
      filter.prog_id == ProgramId(pinned->get())) {
    bpf_tc_opts gone = FilterOf();
    int error = bpf_tc_detach(&hook, &gone);
    if (error != 0 && error != -ENOENT && error != -ENODEV)
      return base::ErrnoStatus(
          -error, base::StrCat("remove filter of interface ", ifindex_));
  }
  return RemovePin(FilterPath());
}

}  // namespace nodeward::kernel
