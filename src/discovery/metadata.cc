// SPDX-License-Identifier: Apache-2.0
#include "discovery/metadata.h"

#include "absl/time/time.h"
#include "base/text.h"

namespace nodeward::discovery {
namespace {

int64_t ReadTime(const Field& field) {
  const std::string text = field.Text();
  if (text.empty()) return 0;
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, base::ToAbsl(text), &time, &error)) {
    field.Flaw("must be a time as 2024-01-31T12:00:00Z");
    return 0;
  }
  return absl::ToUnixSeconds(time);
}

}  // namespace

Metadata ReadMetadata(const Field& root) {
  const Field metadata = root["metadata"];
  Metadata result;
  result.name = metadata["name"].Name();
  if (!metadata["name"].present()) {
    metadata["name"].Flaw("is required");
  }
  result.name_space = metadata["namespace"].Name("default");
  result.uid = metadata["uid"].Text();
  result.created = ReadTime(metadata["creationTimestamp"]);
  result.labels = metadata["labels"].StringMap();
  result.annotations = metadata["annotations"].StringMap();
  return result;
}

}  // namespace nodeward::discovery
