// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "discovery/field.h"
#include "discovery/metadata.h"
#include "discovery/objects.h"

namespace nodeward::discovery {

// A v1 Pod. Flaws in its ports and probes are kPartial (a probe port that
// cannot be read is not exempt), those elsewhere fatal.
Pod ReadPod(const Field& root, const Metadata& metadata,
            const std::string& trust_domain);

// The name of what the pod belongs to: of a ReplicaSet's Deployment, a Job's
// CronJob, else of its controller, else the pod's own.
std::string WorkloadName(const Field& owners, const Metadata& metadata);

}  // namespace nodeward::discovery
