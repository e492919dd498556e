// SPDX-License-Identifier: Apache-2.0
#include "cni/result.h"

namespace nodeward::cni {
namespace {

using base::Json;

constexpr char kNewest[] = "1.0.0";

int CodeOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnimplemented:
      return 1;
    case absl::StatusCode::kInvalidArgument:
      return 4;
    case absl::StatusCode::kDataLoss:
      return 6;
    case absl::StatusCode::kFailedPrecondition:
      return 7;
    default:
      return 11;
  }
}

std::string Text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string ResultText(const Call& call) {
  if (call.previous.contains("cniVersion")) return Text(call.previous);
  Json result = {{"cniVersion", call.cni_version}};
  result.update(call.previous);
  return Text(result);
}

std::string FailureText(const base::Status& failure,
                        const std::string& version) {
  return Text({{"cniVersion", version.empty() ? kNewest : version},
               {"code", CodeOf(failure.code())},
               {"msg", "nodeward: " + std::string(failure.message())}});
}

std::string VersionText(const std::string& version) {
  return Text({{"cniVersion", version.empty() ? kNewest : version},
               {"supportedVersions", SupportedVersions()}});
}

}  // namespace nodeward::cni
