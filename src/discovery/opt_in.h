// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "discovery/field.h"
#include "discovery/objects.h"

namespace nodeward::discovery {

// The wish of one object's labels (`labels` is /metadata/labels). nodeward.io/
// mesh beats istio.io/dataplane-mode. An unknown value counts as not set and is
// noted. Only a Namespace may say "required".
OptIn ReadOptIn(const Field& labels, bool is_namespace);

// Do the labels of a Namespace forbid its pods plaintext to the mesh?
bool ReadRequiresMtls(const Field& labels);

struct Enrolment {
  model::Membership membership = model::Membership::kNotOptedIn;
  std::string reason;
  bool opted_in = false;  // as in model::Workload
};

// Is the pod in the mesh? `name_space` is null when no Namespace object tells
// its labels: as if it had none.
Enrolment DecideEnrolment(const Pod& pod, const Namespace* name_space);

}  // namespace nodeward::discovery
