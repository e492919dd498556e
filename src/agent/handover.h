// SPDX-License-Identifier: Apache-2.0
//
// What two agents of one node say to each other when one takes over from the
// other: a connection to the control socket of the one that serves, each line
// JSON, some with descriptors beside them (admin/descriptor_lines.h).
//
//   taker: {"command":"takeover","args":{"bpfDir":…,"node":…,"pins":1,…}}
//   giver: {"ok":true,"pods":2,…} + lock, control, metrics, readiness
//          {"pod":"<uid>","netnsCookie":…,…} + listeners       for each pod
//      or: {"ok":false,"error":"…","final":true}
//   taker: {"taken":true}      it serves all of them, beside the giver
//   giver: {"yielded":true}    it accepts no more, and drains
//
// Until "taken" the giver changes nothing in the kernel; an end of the
// connection before that leaves it in charge. After it each sees the other's
// end by the connection's. Their pins may be of different versions ("pins"):
// the taker's hooks then stand beside the giver's until that has yielded.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "admin/descriptor_lines.h"
#include "base/json.h"
#include "base/status.h"
#include "capture/handed_pod.h"
#include "io/loop.h"

namespace nodeward::agent {

// What both must have in common.
struct HandoverTerms {
  std::string bpf_dir;
  std::string node;

  base::Json ToJson() const;
  static HandoverTerms FromJson(const base::Json& json);
  // OK, or why an agent of these terms cannot take over from one of `giver`'s.
  base::Status MayTakeFrom(const HandoverTerms& giver) const;
};

// One pod as a line, and back. The listeners go into `beside`.
base::Json PodToJson(const capture::HandedPod& pod);
std::vector<admin::NamedDescriptor> ListenersOf(capture::Listeners listeners);
base::StatusOr<capture::HandedPod> PodFromLine(admin::DescriptorLine line);

// The agent at the other end of such a connection. Control loop only.
class OtherAgent final : private io::Watcher {
 public:
  OtherAgent(io::Loop& loop, base::Fd connection)
      : loop_(loop),
        connection_(std::move(connection)),
        reader_(connection_.get()) {}
  ~OtherAgent();
  OtherAgent(const OtherAgent&) = delete;
  OtherAgent& operator=(const OtherAgent&) = delete;

  // Is it root's, or this user's own?
  base::Status CheckUser() const;
  base::Status Send(base::Json json,
                    const std::vector<admin::NamedDescriptor>& beside = {});
  // Waits for its next line.
  base::StatusOr<admin::DescriptorLine> Await();
  // From now on `on_line` hears what it says, `on_end` (once, as the last) that
  // it has ended or says what nobody understands. Neither may destroy this.
  base::Status Watch(std::function<void(const admin::DescriptorLine&)> on_line,
                     std::function<void()> on_end);

 private:
  void OnEvents(uint32_t events) override;

  io::Loop& loop_;
  const base::Fd connection_;
  admin::DescriptorLineReader reader_;
  std::function<void(const admin::DescriptorLine&)> on_line_;
  std::function<void()> on_end_;
  bool watching_ = false;
};

}  // namespace nodeward::agent
