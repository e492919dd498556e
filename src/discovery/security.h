// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "discovery/field.h"
#include "discovery/metadata.h"
#include "model/policy.h"

namespace nodeward::discovery {

// A member of `object` that is not `known` is a flaw.
void RefuseUnknown(const Field& object,
                   std::initializer_list<std::string_view> known);

// matchLabels of a WorkloadSelector.
model::Labels ReadSelector(const Field& selector);

// A security.istio.io v1 or v1beta1 PeerAuthentication, with the checks of its
// CRD; a field that the CRD does not know is a flaw too, as it is to kubectl:
// a policy with a slip in a name would enforce nothing.
model::PeerAuthentication ReadPeerAuthentication(
    const Field& root, const Metadata& metadata,
    const std::string& root_namespace);

// What stands in for a security object that is broken: closes what the object
// could concern, by what can be read of its namespace and selector.
model::ClosingPolicy CloseForBroken(const base::Json& object, std::string kind,
                                    std::string reason,
                                    const std::string& root_namespace);

// The same for a text that cannot be parsed. None: it names no security kind.
std::optional<model::ClosingPolicy> CloseForText(
    std::string_view text, std::string reason,
    const std::string& root_namespace);

}  // namespace nodeward::discovery
