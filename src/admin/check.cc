// SPDX-License-Identifier: Apache-2.0
#include "admin/check.h"

#include <string_view>
#include <utility>

namespace nodeward::admin {
namespace {

using base::Json;

std::string_view ResultText(model::Check::Result result) {
  switch (result) {
    case model::Check::Result::kSuccess:
      return "success";
    case model::Check::Result::kWarning:
      return "warning";
    case model::Check::Result::kError:
      break;
  }
  return "error";
}

}  // namespace

Json CheckResult(const std::vector<model::CheckCategory>& categories) {
  bool success = true;
  Json shown = Json::array();
  for (const model::CheckCategory& category : categories) {
    Json checks = Json::array();
    for (const model::Check& check : category.checks) {
      success = success && check.result != model::Check::Result::kError;
      checks.push_back({{"description", check.description},
                        {"hint", check.hint},
                        {"error", check.error},
                        {"result", ResultText(check.result)}});
    }
    shown.push_back(
        {{"categoryName", category.name}, {"checks", std::move(checks)}});
  }
  return Json{{"success", success}, {"categories", std::move(shown)}};
}

}  // namespace nodeward::admin
