// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/json.h"
#include "model/check.h"

namespace nodeward::admin {

// {"success":…,"categories":[{"categoryName":…,"checks":[{"description":…,
// "hint":…,"error":…,"result":"success|warning|error"}]}]}, as
// `linkerd check -o json` prints it. Warnings are no failure.
base::Json CheckResult(const std::vector<model::CheckCategory>& categories);

}  // namespace nodeward::admin
