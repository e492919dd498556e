// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "base/json.h"
#include "model/workload.h"

namespace nodeward::discovery {

// What a flaw means for the object that has it.
enum class Severity {
  kNote,     // worth telling, changes nothing
  kPartial,  // the part that has it is left out, the rest can be used
  kFatal,    // the object cannot be used
};

struct Finding {
  std::string pointer;  // JSON pointer inside the document
  std::string reason;
  Severity severity = Severity::kFatal;
};
using Findings = std::vector<Finding>;

// The worst of them; kNote when there are none.
Severity Worst(const Findings& findings);

// A place in a document, read with the type that Kubernetes wants there. What
// is missing (or null, which is the same to Kubernetes) reads as the fallback;
// what has another type does so too and leaves a finding. The document and the
// findings must outlive it.
class Field {
 public:
  Field(const base::Json& value, std::string pointer, Findings* findings)
      : value_(&value), pointer_(std::move(pointer)), findings_(findings) {}

  // The same place, with flaws at and below it kPartial.
  Field Lenient() const;

  bool present() const { return !value_->is_null(); }
  bool is_text() const { return value_->is_string(); }
  const base::Json& value() const { return *value_; }
  const std::string& pointer() const { return pointer_; }

  // The member of this object.
  Field operator[](std::string_view key) const;
  std::vector<Field> Items() const;                            // array
  std::vector<std::pair<std::string, Field>> Members() const;  // object
  std::string Text(std::string_view fallback = "") const;
  std::optional<int64_t> Integer() const;
  bool Flag(bool fallback = false) const;
  model::Labels StringMap() const;
  std::optional<uint16_t> Port() const;  // 1-65535
  // An address that a pod or a service can have.
  std::optional<base::IpAddress> Address() const;
  // A DNS-1123 subdomain: what Kubernetes accepts as a name.
  std::string Name(std::string_view fallback = "") const;

  void Flaw(std::string reason) const;
  void Note(std::string reason) const;

 private:
  const base::Json* value_;
  std::string pointer_;
  Findings* findings_;
  Severity severity_ = Severity::kFatal;
};

// Lower-case letters, digits, '-' and '.', at most 253.
bool IsDnsName(std::string_view text);

}  // namespace nodeward::discovery
