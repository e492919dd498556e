// SPDX-License-Identifier: Apache-2.0
#include "agent/process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "base/text.h"

namespace nodeward::agent {

base::Status PrepareProcess() {
  if (geteuid() != 0) {
    return absl::PermissionDeniedError(
        "start agent: not root; it enters pod namespaces and attaches BPF "
        "programs, so run it as root (in a container: runAsUser 0 with BPF, "
        "PERFMON, NET_ADMIN, NET_RAW and SYS_ADMIN)");
  }
  if (prctl(PR_SET_DUMPABLE, 0) != 0) {
    return base::ErrnoStatus(errno, "make the process undumpable");
  }
  const rlimit no_core{0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) {
    return base::ErrnoStatus(errno, "switch core files off");
  }
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return base::ErrnoStatus(errno, "read the descriptor limit");
  }
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
    return base::ErrnoStatus(errno, "raise the descriptor limit");
  }
  if (files.rlim_max < 65536) {
    base::LogWarn("few descriptors allowed; each connection takes up to three",
                  {{"limit", base::StrCat(files.rlim_max)}});
  }
  signal(SIGPIPE, SIG_IGN);
  return base::OkStatus();
}

}  // namespace nodeward::agent
