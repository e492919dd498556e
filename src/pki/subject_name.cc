// SPDX-License-Identifier: Apache-2.0
#include "pki/subject_name.h"

#include <string>
#include <string_view>

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

base::StatusOr<Extension> SpiffeExtension(const model::Identity& identity) {
  const std::string uri = identity.ToSpiffe();
  GeneralNames names(sk_GENERAL_NAME_new_null());
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  if (names == nullptr || name == nullptr || text == nullptr ||
      ASN1_STRING_set(text, uri.data(), static_cast<int>(uri.size())) != 1) {
    GENERAL_NAME_free(name);
    ASN1_IA5STRING_free(text);
    return OpenSslStatus("encode SPIFFE ID");
  }
  GENERAL_NAME_set0_value(name, GEN_URI, text);
  if (sk_GENERAL_NAME_push(names.get(), name) == 0) {
    GENERAL_NAME_free(name);
    return OpenSslStatus("encode SPIFFE ID");
  }
  Extension extension(
      X509V3_EXT_i2d(NID_subject_alt_name, /*crit=*/1, names.get()));
  if (extension == nullptr) return OpenSslStatus("encode SPIFFE ID");
  return extension;
}

}  // namespace nodeward::pki
