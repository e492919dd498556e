// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

namespace nodeward::ca {

// What an operator should see without reading logs: of the shape of a
// Kubernetes Event, so that it can become one.
struct Event {
  bool warning = false;  // its type: Normal or Warning
  std::string reason;    // "IssuerUpdated"
  std::string note;      // "Updated identity issuer"
  // What it is about, where the note does not tell; the same in all CAs.
  std::string subject = {};
};
using EventSink = std::function<void(const Event&)>;

inline constexpr char kIssuerUpdated[] = "IssuerUpdated";
inline constexpr char kIssuerUpdateSkipped[] = "IssuerUpdateSkipped";
inline constexpr char kIssuerValidationFailed[] = "IssuerValidationFailed";

}  // namespace nodeward::ca
