// SPDX-License-Identifier: Apache-2.0
#include "pki/subject_name.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/text.h"
#include "pki/openssl_error.h"

namespace nodeward::pki {

base::StatusOr<model::Identity> OneSpiffeId(const GENERAL_NAMES* names) {
  std::string_view uri;
  int count = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    uri = {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
           static_cast<size_t>(ASN1_STRING_length(text))};
    ++count;
  }
  if (count == 0) {
    return absl::InvalidArgumentError(
        "read SPIFFE ID: there is no URI among the alternative names");
  }
  if (count > 1) {
    return absl::InvalidArgumentError(
        "read SPIFFE ID: more than one URI among the alternative names");
  }
  return model::Identity::ParseSpiffe(uri);
}

namespace {

constexpr size_t kMaxDnsName = 253;

// Takes `value`, also when it fails.
bool Push(GENERAL_NAMES* names, int type, ASN1_STRING* value,
          std::string_view bytes) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (name == nullptr || value == nullptr ||
      ASN1_STRING_set(value, bytes.data(), static_cast<int>(bytes.size())) !=
          1) {
    GENERAL_NAME_free(name);
    ASN1_STRING_free(value);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, value);
  if (sk_GENERAL_NAME_push(names, name) != 0) return true;
  GENERAL_NAME_free(name);
  return false;
}

base::StatusOr<Extension> Critical(const GENERAL_NAMES* names) {
  Extension extension(X509V3_EXT_i2d(NID_subject_alt_name, /*crit=*/1,
                                     const_cast<GENERAL_NAMES*>(names)));
  if (extension == nullptr) return OpenSslStatus("encode alternative names");
  return extension;
}

bool IsDnsName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxDnsName &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
         });
}

}  // namespace

base::StatusOr<Extension> SpiffeExtension(const model::Identity& identity) {
  GeneralNames names(sk_GENERAL_NAME_new_null());
  if (names == nullptr ||
      !Push(names.get(), GEN_URI, ASN1_IA5STRING_new(), identity.ToSpiffe())) {
    return OpenSslStatus("encode SPIFFE ID");
  }
  return Critical(names.get());
}

base::StatusOr<Extension> ServerExtension(
    const std::vector<std::string>& dns,
    const std::vector<base::IpAddress>& addresses) {
  GeneralNames names(sk_GENERAL_NAME_new_null());
  bool ok = names != nullptr;
  for (const std::string& name : dns) {
    if (!IsDnsName(name)) {
      return absl::InvalidArgumentError(
          base::StrCat("name server: '", name, "' is no DNS name"));
    }
    ok = ok && Push(names.get(), GEN_DNS, ASN1_IA5STRING_new(), name);
  }
  for (const base::IpAddress& address : addresses) {
    // RFC 5280 4.2.1.6: 4 bytes or 16.
    const std::string_view bytes(
        reinterpret_cast<const char*>(address.bytes().data()), 16);
    ok = ok && Push(names.get(), GEN_IPADD, ASN1_OCTET_STRING_new(),
                    address.is_v4() ? bytes.substr(12) : bytes);
  }
  if (!ok) return OpenSslStatus("encode the server's names");
  if (sk_GENERAL_NAME_num(names.get()) == 0) {
    return absl::InvalidArgumentError("name server: no name and no address");
  }
  return Critical(names.get());
}

}  // namespace nodeward::pki
