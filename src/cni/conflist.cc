// SPDX-License-Identifier: Apache-2.0
#include "cni/conflist.h"

#include "cni/call.h"

namespace nodeward::cni {
namespace {

using base::Json;

constexpr char kPlugins[] = "plugins";

bool IsOurs(const Json& plugin) {
  return base::GetString(plugin, "type") == kPluginName;
}

// What does not parse is a null value.
Json Parsed(std::string_view text) {
  auto json = base::ParseJson(text);
  return json.ok() ? *std::move(json) : Json();
}

Json Others(const Json& list) {
  Json others = Json::array();
  for (const Json& plugin : base::GetMember(list, kPlugins)) {
    if (!IsOurs(plugin)) others.push_back(plugin);
  }
  return others;
}

std::string Text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

ConfigurationKind KindOf(const std::string& file_name, std::string_view text) {
  const Json json = Parsed(text);
  if (file_name.ends_with(".conflist")) {
    const Json& plugins = base::GetMember(json, kPlugins);
    const bool valid = plugins.is_array() && !plugins.empty() &&
                       !base::GetString(json, "name").empty();
    return valid ? ConfigurationKind::kList : ConfigurationKind::kNone;
  }
  if (!file_name.ends_with(".conf") && !file_name.ends_with(".json")) {
    return ConfigurationKind::kNone;
  }
  return base::GetString(json, "type").empty() ? ConfigurationKind::kNone
                                               : ConfigurationKind::kSingle;
}

bool HasEntry(std::string_view text) {
  const Json json = Parsed(text);
  const Json& plugins = base::GetMember(json, kPlugins);
  return plugins.is_array() && Others(json).size() != plugins.size();
}

std::string WithEntry(std::string_view list, const Json& entry) {
  Json json = Parsed(list);
  Json wanted = Others(json);
  wanted.push_back(entry);
  if (wanted == base::GetMember(json, kPlugins)) return std::string(list);
  json[kPlugins] = std::move(wanted);
  return Text(json);
}

std::string ListOf(std::string_view single, const Json& entry) {
  Json plugin = Parsed(single);
  const Json list = {
      {"cniVersion", base::GetString(plugin, "cniVersion", "0.3.1")},
      {"name", base::GetString(plugin, "name", "default")}};
  plugin.erase("cniVersion");
  plugin.erase("name");
  Json made = list;
  made[kPlugins] = Json::array({std::move(plugin), entry});
  return Text(made);
}

std::string WithoutEntry(std::string_view list) {
  if (!HasEntry(list)) return std::string(list);
  Json json = Parsed(list);
  json[kPlugins] = Others(json);
  return Text(json);
}

}  // namespace nodeward::cni
