// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "discovery/field.h"
#include "discovery/metadata.h"
#include "model/volume.h"

namespace nodeward::discovery {

// A v1 ConfigMap or Secret. A key whose value cannot be read is kPartial: it is
// left out. No message tells a value.
std::shared_ptr<const model::FileSet> ReadFileSet(const Field& root,
                                                  const Metadata& metadata,
                                                  const std::string& kind);

// The volumes that a pod's annotations give its proxy. A volume that is neither
// a configMap nor a secret, and whatever else cannot be served, is a mount with
// a flaw, and noted; annotations that cannot be read are a kPartial flaw.
std::vector<model::ProxyMount> ReadProxyMounts(const Field& root,
                                               const Metadata& metadata);

}  // namespace nodeward::discovery
