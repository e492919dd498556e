// SPDX-License-Identifier: Apache-2.0
#include "ca/run.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstddef>

#include "base/log.h"
#include "ca/authority_process.h"
#include "pki/key_memory.h"

namespace nodeward::ca {
namespace {

// The signing key and those of handshakes; gRPC's connections hold up to 64
// bytes each.
constexpr size_t kKeyMemory = size_t{4} << 20;

// The signing key is in this memory. No privilege is needed for any of it.
base::Status Prepare() {
  const base::Status locked = pki::UseKeyMemory(kKeyMemory);
  if (!locked.ok() && !absl::IsResourceExhausted(locked)) return locked;
  if (!locked.ok()) {
    base::LogWarn("private keys", {{"problem", std::string(locked.message())}});
  }
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  signal(SIGPIPE, SIG_IGN);
  return base::OkStatus();
}

int Failed(const base::Status& why) {
  base::LogError("CA did not start", {{"reason", std::string(why.message())}});
  return 1;
}

}  // namespace

int Run(const Config& config) {
  base::ConfigureLog(config.log_level, config.log_format);
  if (const base::Status ready = Prepare(); !ready.ok()) return Failed(ready);
  auto process = AuthorityProcess::Start(config);
  if (!process.ok()) return Failed(process.status());
  (*process)->Run();
  return 0;
}

}  // namespace nodeward::ca
