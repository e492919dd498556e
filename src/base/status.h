// SPDX-License-Identifier: Apache-2.0
//
// base: words for the machine. Descriptors, addresses, errors, text, JSON and
// YAML, the log. Knows nothing of the mesh, starts no thread, owns no loop.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace nodeward::base {

// The one error type. Would-block, end of stream and denial are values of
// their own and never travel here. A message says verb, object, cause and,
// where known, the remedy.
using Status = absl::Status;
template <typename T>
using StatusOr = absl::StatusOr<T>;

inline Status OkStatus() { return absl::OkStatus(); }

// The status for `error` (an errno value), reading
// "<what>: <text of errno> (errno <number>)".
Status ErrnoStatus(int error, std::string_view what);

// Same code, "<context>: <message>". OK stays OK.
Status Annotate(const Status& status, std::string_view context);

}  // namespace nodeward::base

#define NODEWARD_CONCAT_INNER(a, b) a##b
#define NODEWARD_CONCAT(a, b) NODEWARD_CONCAT_INNER(a, b)

// Returns from the function when `expression` (a Status) is not OK.
#define NODEWARD_TRY(expression)                                              \
  do {                                                                        \
    if (::absl::Status nodeward_status = (expression); !nodeward_status.ok()) \
      return nodeward_status;                                                 \
  } while (false)

// NODEWARD_ASSIGN(auto x, Compute()): the value, or return the error.
#define NODEWARD_ASSIGN(left, expression)                                  \
  NODEWARD_ASSIGN_INNER(NODEWARD_CONCAT(nodeward_result_, __LINE__), left, \
                        expression)
#define NODEWARD_ASSIGN_INNER(result, left, expression) \
  auto result = (expression);                           \
  if (!result.ok()) return result.status();             \
  left = *std::move(result)
