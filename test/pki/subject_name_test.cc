// SPDX-License-Identifier: Apache-2.0
#include "pki/subject_name.h"

#include <gtest/gtest.h>

#include <string>

#include "pki/forge.h"

namespace nodeward::pki {
namespace {

GeneralNames Uris(const std::vector<std::string>& uris) {
  GeneralNames names(sk_GENERAL_NAME_new_null());
  for (const std::string& uri : uris) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, uri.data(), static_cast<int>(uri.size()));
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    sk_GENERAL_NAME_push(names.get(), name);
  }
  return names;
}

TEST(OneSpiffeId, TakesOneAndNoMore) {
  const std::string uri = "spiffe://cluster.local/ns/full/sa/a";
  EXPECT_EQ(*OneSpiffeId(Uris({uri}).get()), Id("a"));
  EXPECT_FALSE(OneSpiffeId(Uris({}).get()).ok());
  EXPECT_FALSE(OneSpiffeId(nullptr).ok());
  EXPECT_FALSE(OneSpiffeId(Uris({uri, uri}).get()).ok());
}

TEST(OneSpiffeId, IsNotCutAtANulByte) {
  std::string uri = "spiffe://cluster.local/ns/full/sa/a";
  uri += '\0';
  uri += "b";
  EXPECT_FALSE(OneSpiffeId(Uris({uri}).get()).ok());
}

TEST(SpiffeExtension, IsCriticalAndHoldsTheUri) {
  const base::StatusOr<Extension> extension = SpiffeExtension(Id("a"));
  ASSERT_TRUE(extension.ok()) << extension.status();
  EXPECT_EQ(X509_EXTENSION_get_critical(extension->get()), 1);
  GeneralNames names(
      static_cast<GENERAL_NAMES*>(X509V3_EXT_d2i(extension->get())));
  EXPECT_EQ(sk_GENERAL_NAME_num(names.get()), 1);
  EXPECT_EQ(*OneSpiffeId(names.get()), Id("a"));
}

}  // namespace
}  // namespace nodeward::pki
