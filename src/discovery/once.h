// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/status.h"
#include "discovery/source.h"
#include "model/snapshot.h"

namespace nodeward::discovery {

// What the manifests at `options.directory`, a directory or one file, say now,
// for somebody who only wants to look: who owns them plays no part, and nothing
// is watched. What cannot be read is an error.
base::StatusOr<model::SnapshotPtr> ReadOnce(ManifestOptions options);

}  // namespace nodeward::discovery
