// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "discovery/field.h"
#include "discovery/metadata.h"
#include "discovery/objects.h"

namespace nodeward::discovery {

// A v1 Service, its TCP ports only. Flaws in a port are kPartial: that port is
// left out, which refuses connections to it.
Service ReadService(const Field& root, const Metadata& metadata);

// A discovery.k8s.io/v1 EndpointSlice.
EndpointSlice ReadEndpointSlice(const Field& root, const Metadata& metadata);

}  // namespace nodeward::discovery
