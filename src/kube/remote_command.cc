// SPDX-License-Identifier: Apache-2.0
#include "kube/remote_command.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "base/json.h"
#include "base/text.h"
#include "kube/escaped.h"

namespace nodeward::kube {
namespace {

constexpr char kStandardOutput = 1, kStandardError = 2, kStatus = 3;
constexpr size_t kMaxOutput = 16 << 20;

}  // namespace

std::vector<std::string> RemoteCommand::Protocols() {
  return {"v5.channel.k8s.io", "v4.channel.k8s.io"};
}

std::string RemoteCommand::Target(const Place& place,
                                  const std::vector<std::string>& words) {
  std::string target =
      base::StrCat("/api/v1/namespaces/", Escaped(place.name_space), "/pods/",
                   Escaped(place.pod), "/exec?stdout=true&stderr=true");
  base::StrAppend(&target, "&container=", Escaped(place.container));
  for (const std::string& word : words) {
    base::StrAppend(&target, "&command=", Escaped(word));
  }
  return target;
}

void RemoteCommand::Take(std::string_view message) {
  if (message.empty()) return;
  const char channel = message.front();
  message.remove_prefix(1);
  if (result_.out.size() + result_.err.size() + message.size() > kMaxOutput) {
    oversized_ = true;
    return;
  }
  if (channel == kStandardOutput) result_.out += message;
  if (channel == kStandardError) result_.err += message;
  // The first message of a channel may be empty.
  if (channel == kStatus && !message.empty()) status_ = std::string(message);
}

base::StatusOr<RemoteCommand::Result> RemoteCommand::Finish() && {
  if (oversized_) {
    return absl::ResourceExhaustedError("the command says too much");
  }
  if (!status_.has_value()) {
    return absl::UnavailableError(
        "the connection ended before the command did");
  }
  NODEWARD_ASSIGN(const base::Json status, base::ParseJson(*status_));
  if (base::GetString(status, "status") == "Success") return result_;
  const base::Json& causes =
      base::GetMember(base::GetMember(status, "details"), "causes");
  for (const base::Json& cause : causes) {
    if (base::GetString(cause, "reason") == "ExitCode" &&
        absl::SimpleAtoi(base::GetString(cause, "message"),
                         &result_.exit_status)) {
      return result_;
    }
  }
  return absl::UnavailableError(
      base::GetString(status, "message", "the command could not be run"));
}

}  // namespace nodeward::kube
