// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "cni/call.h"

namespace nodeward::cni {

// What the plugin writes for the runtime, CNI specification, section 5.

// The result of an ADD: prevResult as it came.
std::string ResultText(const Call& call);

// `failure` as the specification's error object. Its codes by status code:
// Unimplemented is 1 (the version), InvalidArgument 4 (the environment),
// DataLoss 6 (undecodable), FailedPrecondition 7 (the configuration), all
// others 11 (try again later). `version` is the configuration's; empty: not
// known.
std::string FailureText(const base::Status& failure,
                        const std::string& version);

// The answer to VERSION.
std::string VersionText(const std::string& version);

}  // namespace nodeward::cni
