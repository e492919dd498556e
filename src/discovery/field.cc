// SPDX-License-Identifier: Apache-2.0
#include "discovery/field.h"

#include <algorithm>

#include "base/text.h"
#include "base/yaml.h"

namespace nodeward::discovery {

Severity Worst(const Findings& findings) {
  Severity worst = Severity::kNote;
  for (const Finding& finding : findings) {
    worst = std::max(worst, finding.severity);
  }
  return worst;
}

bool IsDnsName(std::string_view text) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= 253 && alphanumeric(text.front()) &&
         alphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return alphanumeric(c) || c == '-' || c == '.';
         });
}

Field Field::Lenient() const {
  Field lenient = *this;
  lenient.severity_ = Severity::kPartial;
  return lenient;
}

Field Field::operator[](std::string_view key) const {
  Field member = *this;
  base::AppendPointer(&member.pointer_, key);
  if (present() && !value_->is_object()) Flaw("must be an object");
  member.value_ = &base::GetMember(*value_, key);
  return member;
}

std::vector<Field> Field::Items() const {
  std::vector<Field> items;
  if (!present()) return items;
  if (!value_->is_array()) {
    Flaw("must be a list");
    return items;
  }
  items.reserve(value_->size());
  for (const base::Json& value : *value_) {
    Field item = *this;
    base::AppendPointer(&item.pointer_, std::to_string(items.size()));
    item.value_ = &value;
    items.push_back(std::move(item));
  }
  return items;
}

std::vector<std::pair<std::string, Field>> Field::Members() const {
  std::vector<std::pair<std::string, Field>> members;
  if (!present()) return members;
  if (!value_->is_object()) {
    Flaw("must be an object");
    return members;
  }
  for (const auto& [key, value] :
       *value_->get_ptr<const base::Json::object_t*>()) {
    Field member = *this;
    base::AppendPointer(&member.pointer_, key);
    member.value_ = &value;
    members.emplace_back(key, std::move(member));
  }
  return members;
}

std::string Field::Text(std::string_view fallback) const {
  if (!present()) return std::string(fallback);
  const auto* text = value_->get_ptr<const std::string*>();
  if (text == nullptr) {
    Flaw("must be a string");
    return std::string(fallback);
  }
  return *text;
}

std::optional<int64_t> Field::Integer() const {
  if (!present()) return std::nullopt;
  const auto* integer = value_->get_ptr<const int64_t*>();
  if (integer == nullptr) {
    Flaw("must be an integer");
    return std::nullopt;
  }
  return *integer;
}

bool Field::Flag(bool fallback) const {
  if (!present()) return fallback;
  const auto* flag = value_->get_ptr<const bool*>();
  if (flag == nullptr) {
    Flaw("must be true or false");
    return fallback;
  }
  return *flag;
}

model::Labels Field::StringMap() const {
  model::Labels labels;
  for (const auto& [key, member] : Members()) {
    if (member.is_text()) {
      labels.emplace(key, member.Text());
    } else {
      // A null, too: Kubernetes drops it, a reader may have meant anything.
      member.Flaw("must be a string");
    }
  }
  return labels;
}

std::optional<uint16_t> Field::Port() const {
  const auto number = Integer();
  if (!number.has_value()) return std::nullopt;
  if (*number < 1 || *number > 65535) {
    Flaw("must be a port, 1 to 65535");
    return std::nullopt;
  }
  return static_cast<uint16_t>(*number);
}

std::optional<base::IpAddress> Field::Address() const {
  const std::string text = Text();
  if (text.empty()) return std::nullopt;
  const auto address = base::IpAddress::Parse(text);
  // A NUL would end the text early for inet_pton.
  if (!address.ok() || text.find('\0') != std::string::npos) {
    Flaw(base::StrCat("'", text, "' is not an IP address"));
    return std::nullopt;
  }
  if (address->is_loopback() || address->is_unspecified()) {
    Flaw(base::StrCat(text, " cannot be reached from other pods"));
    return std::nullopt;
  }
  return *address;
}

std::string Field::Name(std::string_view fallback) const {
  const std::string name = Text();
  if (name.empty()) return std::string(fallback);
  if (!IsDnsName(name)) {
    Flaw("must be a DNS-1123 name: lower-case letters, digits, '-' and '.'");
    return std::string(fallback);
  }
  return name;
}

void Field::Flaw(std::string reason) const {
  // Reading two members of what is no object tells it once.
  for (const Finding& finding : *findings_) {
    if (finding.pointer == pointer_ && finding.reason == reason) return;
  }
  findings_->push_back({pointer_, std::move(reason), severity_});
}

void Field::Note(std::string reason) const {
  findings_->push_back({pointer_, std::move(reason), Severity::kNote});
}

}  // namespace nodeward::discovery
