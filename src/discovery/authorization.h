// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "discovery/field.h"
#include "discovery/metadata.h"
#include "model/authorization.h"

namespace nodeward::discovery {

// A security.istio.io v1 or v1beta1 AuthorizationPolicy, with the checks of its
// CRD and of Istio's webhook, in the webhook's words. A field that the CRD does
// not know is a flaw too: a rule with a slip in a name would match more.
model::AuthorizationPolicy ReadAuthorizationPolicy(
    const Field& root, const Metadata& metadata,
    const std::string& root_namespace);

}  // namespace nodeward::discovery
