// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/status.h"
#include "ca/object_name.h"
#include "pki/signer.h"

namespace nodeward::ca {

// POSTs JSON to a path of the API server: (HTTP status, body).
using Poster = std::function<base::StatusOr<std::pair<long, std::string>>(
    const std::string& path, const std::string& json)>;

// Makes the Secret `place` (kubernetes.io/tls: tls.crt, tls.key, ca.crt, as
// cert-manager writes them) of `root`, unless there is one: then nothing
// changes and false comes back. Of several that try at once one makes it. Needs
// the verb `create` alone, and sees no Secret that is there.
base::StatusOr<bool> CreateIssuerSecret(const Poster& post,
                                        const ObjectName& place,
                                        const pki::Root& root);

}  // namespace nodeward::ca
