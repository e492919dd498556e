// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/ip.h"
#include "http/session.h"
#include "model/workload.h"

namespace nodeward::hbone {

// What a CONNECT tells about its source besides: `forwarded` with the client's
// address and `baggage` with its names, as ztunnel writes them. Hints for
// labels; no receiver may decide by them, and ours does not look at them.
std::vector<http::Header> SourceHeaders(const base::Endpoint& client,
                                        const model::Workload& source);

}  // namespace nodeward::hbone
