// SPDX-License-Identifier: Apache-2.0
#include "capture/leftovers.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "base/text.h"
#include "capture/enroller.h"
#include "capture/interfaces.h"
#include "capture/steering.h"
#include "kernel/hooks.h"

namespace nodeward::capture {
namespace {

namespace fs = std::filesystem;

// The names in `folder`; none when it cannot be read.
std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  return names;
}

std::vector<std::string> CandidatePaths(const std::vector<std::string>& paths) {
  std::vector<std::string> all = paths;
  for (const std::string& name : NamesIn("/run/netns")) {
    all.push_back("/run/netns/" + name);
  }
  for (const std::string& name : NamesIn("/proc")) {
    int pid = 0;
    if (absl::SimpleAtoi(name, &pid)) {
      all.push_back(base::StrCat("/proc/", pid, "/ns/net"));
    }
  }
  return all;
}

}  // namespace

void ForEachNetns(
    const std::vector<std::string>& paths,
    absl::FunctionRef<void(const std::string& name, const Netns&)> visit) {
  absl::flat_hash_set<uint64_t> seen;
  for (const std::string& path : CandidatePaths(paths)) {
    const auto netns = Netns::Open(path);
    // Processes end and files vanish while this goes on.
    if (netns.ok() && seen.insert((*netns)->cookie()).second) {
      visit(path, **netns);
    }
  }
}

void RemoveSteeringFrom(const Netns& home, const std::vector<uint64_t>& cookies,
                        const std::vector<std::string>& paths) {
  ForEachNetns(paths, [&](const std::string&, const Netns& netns) {
    if (std::find(cookies.begin(), cookies.end(), netns.cookie()) ==
        cookies.end()) {
      return;
    }
    const auto there = HasSteering(netns, home);
    if (!there.ok() || !*there) return;
    // A namespace that dies under our hands needs no cleaning.
    RemoveSteering(netns, home, DefaultSysctls()).IgnoreError();
  });
}

base::StatusOr<std::vector<std::string>> RemoveEverything(
    const std::string& bpf_dir) {
  NODEWARD_ASSIGN(const NetnsPtr home, Netns::Own());
  NODEWARD_ASSIGN(std::vector<std::string> removed,
                  kernel::RemovePins(bpf_dir));
  base::Status status;
  ForEachNetns({}, [&](const std::string& name, const Netns& netns) {
    const auto there = HasSteering(netns, *home);
    if (!there.ok() || !*there) return;
    // Where several nodes live on one machine, the others' pods are not ours.
    const auto linked = IsLinkedTo(netns, *home);
    if (!linked.ok() || !*linked) return;
    const base::Status done = RemoveSteering(netns, *home, DefaultSysctls());
    status.Update(base::Annotate(done, name));
    if (done.ok()) {
      removed.push_back(base::StrCat("routing rule and sysctls in ", name));
    }
  });
  NODEWARD_TRY(status);
  return removed;
}

}  // namespace nodeward::capture
