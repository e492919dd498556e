// SPDX-License-Identifier: Apache-2.0
#include "admin/in_charge.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/text.h"

namespace nodeward::admin {
namespace {

base::StatusOr<std::string> PidNamespace() {
  struct stat about {};
  if (stat("/proc/self/ns/pid", &about) != 0) {
    return base::ErrnoStatus(errno, "look at /proc/self/ns/pid");
  }
  return base::StrCat(about.st_dev, ":", about.st_ino);
}

}  // namespace

base::StatusOr<base::Json> InChargeArguments() {
  NODEWARD_ASSIGN(const std::string mine, PidNamespace());
  return base::Json{{"pidNamespace", mine}};
}

base::StatusOr<base::Json> InChargeResult(const base::Json& args) {
  NODEWARD_ASSIGN(const std::string mine, PidNamespace());
  return base::Json{{"here", base::GetString(args, "pidNamespace") == mine}};
}

}  // namespace nodeward::admin
