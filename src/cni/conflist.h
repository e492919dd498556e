// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace nodeward::cni {

// A network configuration file, as container runtimes take it.
enum class ConfigurationKind {
  kNone,    // no valid one; runtimes pass it over
  kSingle,  // of one plugin (.conf, .json)
  kList,    // .conflist
};
ConfigurationKind KindOf(const std::string& file_name, std::string_view text);

// Is one of the plugins in it ours?
bool HasEntry(std::string_view text);

// `list` with `entry` as its last plugin and nothing else of ours. The same
// text when it is so already. REQUIRES: KindOf is kList.
std::string WithEntry(std::string_view list, const base::Json& entry);

// The list of the plugin that `single` configures, and `entry`. REQUIRES:
// KindOf is kSingle.
std::string ListOf(std::string_view single, const base::Json& entry);

// `list` with nothing of ours; the same text where there was nothing.
// REQUIRES: KindOf is kList.
std::string WithoutEntry(std::string_view list);

}  // namespace nodeward::cni
