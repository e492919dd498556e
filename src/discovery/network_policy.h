// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "discovery/field.h"
#include "discovery/metadata.h"
#include "model/network_policy.h"

namespace nodeward::discovery {

// A networking.k8s.io/v1 NetworkPolicy, with the defaults of the API server.
model::NetworkPolicy ReadNetworkPolicy(const Field& root,
                                       const Metadata& metadata);

}  // namespace nodeward::discovery
