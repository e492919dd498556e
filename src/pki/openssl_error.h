// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace nodeward::pki {

// The reason of the newest error in this thread's OpenSSL queue, which is
// emptied: what failed first is seldom what a reader can act on.
std::string TakeOpenSslReason();

// "<what>: <reason>" as kInternal (or `code`); empties the queue.
base::Status OpenSslStatus(std::string_view what,
                           absl::StatusCode code = absl::StatusCode::kInternal);

}  // namespace nodeward::pki
