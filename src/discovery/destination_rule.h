// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "discovery/field.h"
#include "discovery/metadata.h"
#include "model/destination_rule.h"

namespace nodeward::discovery {

// A networking.istio.io v1, v1beta1 or v1alpha3 DestinationRule, with the
// checks of its CRD and of Istio's webhook. What it says besides TLS (load
// balancing, subsets …) is noted as not honoured; a field that the CRD does not
// know is a flaw: a slip in a name could mean plaintext.
model::DestinationRule ReadDestinationRule(const Field& root,
                                           const Metadata& metadata);

}  // namespace nodeward::discovery
