// SPDX-License-Identifier: Apache-2.0
#include "ca/run.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <memory>

#include "base/log.h"
#include "ca/authority_process.h"

namespace nodeward::ca {
namespace {

// The signing key is in this memory. No privilege is needed for any of it.
void Prepare() {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  signal(SIGPIPE, SIG_IGN);
}

}  // namespace

int Run(const Config& config) {
  base::ConfigureLog(config.log_level, config.log_format);
  Prepare();
  auto process = AuthorityProcess::Start(config);
  if (!process.ok()) {
    base::LogError("CA did not start",
                   {{"reason", std::string(process.status().message())}});
    return 1;
  }
  (*process)->Run();
  return 0;
}

}  // namespace nodeward::ca
