// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agent/config.h"
#include "base/status.h"

namespace nodeward::agent {

// A switch is true or false, in the file and as a flag; a flag alone is true.
enum class SettingType { kText, kTextList, kInteger, kDuration, kSwitch };
// "text", "list of text", "whole number", "duration", "true or false".
std::string_view SettingTypeText(SettingType type);

// One setting as users name it.
struct Setting {
  std::string_view key;  // path in the file: "ca.embedded"
  SettingType type;
  std::string_view fallback;  // lists: comma-separated
  std::string_view help;
  // Puts one value (of a list: one element) into `config`. An error names the
  // value and the remedy, not the setting.
  base::Status (*put)(Config& config, const std::string& value);
};

// The one table of settings: it drives the file, the flags and the help.
std::span<const Setting> Settings();
// Null when there is none of that name.
const Setting* FindSetting(std::string_view key);

// "ca.embedded" -> "--ca-embedded", "meshCIDRs" -> "--mesh-cidrs".
std::string FlagOf(std::string_view key);

// All settings for `nodeward agent --help`, several lines each.
std::string SettingsHelp();

}  // namespace nodeward::agent
