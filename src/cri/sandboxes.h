// SPDX-License-Identifier: Apache-2.0
//
// cri: which network namespace a pod of this node has, told by who made it
// and never guessed. Knows no policy; enters no namespace.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/ip.h"

namespace nodeward::cri {

struct Sandbox {
  std::string netns;  // path as the maker names it: "/var/run/netns/cni-…"
  std::vector<base::IpAddress> ips;

  friend bool operator==(const Sandbox&, const Sandbox&) = default;
};

// The live ones, by the pod's UID. Those of hostNetwork pods have none.
using Sandboxes = std::map<std::string, Sandbox>;

// Who knows the sandboxes. Belongs to the control loop.
class SandboxSource {
 public:
  virtual ~SandboxSource() = default;
  // From now on `changed` is called on the loop with all of them whenever they
  // are others than before.
  virtual void Start(std::function<void(const Sandboxes&)> changed) = 0;
  // The pods (UIDs) that should have one. As long as one of them has not, it is
  // looked for often.
  virtual void Expect(std::set<std::string> pods) = 0;
  // Why nothing new can be learnt; empty: all is well.
  virtual std::string problem() const = 0;
};

}  // namespace nodeward::cri
