// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "discovery/source.h"
#include "model/snapshot.h"

namespace nodeward::discovery {

// What the manifests at `options.directory`, a directory or one file, say now,
// for somebody who only wants to look: who owns them plays no part, and nothing
// is watched. What cannot be read is an error.
base::StatusOr<model::SnapshotPtr> ReadOnce(ManifestOptions options);

// The same of `texts` that somebody else has read; what is broken in them is
// among the snapshot's problems. `options.directory` only names them there.
model::SnapshotPtr ReadTexts(const std::vector<std::string>& texts,
                             ManifestOptions options);

}  // namespace nodeward::discovery
