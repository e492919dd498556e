// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "cri/sandboxes.h"
#include "io/loop.h"

namespace nodeward::cri {

// The sandboxes that the container runtime behind `address` ("unix:///run/
// containerd/containerd.sock") has, asked by a thread of its own. Nobody needs
// to listen there yet. `loop` outlives it.
std::unique_ptr<SandboxSource> AskRuntime(io::Loop& loop,
                                          const std::string& address);

}  // namespace nodeward::cri
