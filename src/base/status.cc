// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <cerrno>
#include <system_error>

#include "base/text.h"

namespace nodeward::base {

Status ErrnoStatus(int error, std::string_view what) {
  return Status(absl::ErrnoToStatusCode(error),
                StrCat(what, ": ", std::generic_category().message(error),
                       " (errno ", error, ")"));
}

Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  return Status(status.code(), StrCat(context, ": ", status.message()));
}

}  // namespace nodeward::base
