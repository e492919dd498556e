// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "kernel/hooks.h"
#include "model/snapshot.h"

namespace nodeward::capture {

// What the connect hook must know of the mesh, by address:
// - a workload of the mesh, on whatever node: captured;
// - an address that two pods claim, or that a pod of the mesh held which has
//   ended but may still run: refused;
// - a service that a workload of the mesh serves: captured on the ports that
// have
//   a ready endpoint, refused on every other;
// - a service without any ready endpoint: refused;
// - what a DestinationRule secures: such a service as if the mesh served it, an
//   endpoint of a headless one captured;
// - a service that only others serve, and everything else: not listed, so the
//   connection is left alone.
// All of it is of the mesh but what only a rule or a ServiceEntry lists.
// Sorted by address, each once.
std::vector<kernel::Destination> DestinationsOf(
    const model::Snapshot& snapshot);

}  // namespace nodeward::capture
