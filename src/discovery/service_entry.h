// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "discovery/field.h"
#include "discovery/metadata.h"
#include "discovery/objects.h"

namespace nodeward::discovery {

// A networking.istio.io v1, v1beta1 or v1alpha3 ServiceEntry. Only one with
// resolution STATIC is used; of others that is noted. Its hosts become a
// service each, whose endpoints have no workload yet.
ServiceEntry ReadServiceEntry(const Field& root, const Metadata& metadata);

}  // namespace nodeward::discovery
