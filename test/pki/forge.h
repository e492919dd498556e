// SPDX-License-Identifier: Apache-2.0
//
// Certificates that our own signer would never make, for tests.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "model/identity.h"
#include "pki/certificate.h"
#include "pki/credential.h"
#include "pki/key.h"
#include "pki/signer.h"

namespace nodeward::pki {

struct Forgery {
  // In OpenSSL's syntax: "critical,URI:spiffe://…"; empty leaves it out.
  std::string names = {};
  std::string basic_constraints = "critical,CA:FALSE";
  std::string key_usage = "critical,digitalSignature,keyEncipherment";
  std::string extended_key_usage = "serverAuth,clientAuth";
  std::string organization = {};  // the subject; empty: none
  absl::Time not_before = absl::Now() - absl::Minutes(1);
  absl::Time not_after = absl::Now() + absl::Hours(1);
};

inline Certificate Forge(const Root& root, const PrivateKey& key,
                         const Forgery& forgery) {
  X509* cert = X509_new();
  X509_set_version(cert, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 4711);
  ASN1_TIME_set(X509_getm_notBefore(cert), absl::ToTimeT(forgery.not_before));
  ASN1_TIME_set(X509_getm_notAfter(cert), absl::ToTimeT(forgery.not_after));
  X509_set_pubkey(cert, key.native());
  X509* issuer = root.certificate.native();
  X509_set_issuer_name(cert, X509_get_subject_name(issuer));
  if (!forgery.organization.empty()) {
    X509_NAME_add_entry_by_txt(
        X509_get_subject_name(cert), "O", MBSTRING_UTF8,
        reinterpret_cast<const unsigned char*>(forgery.organization.c_str()),
        -1, -1, 0);
  }
  const std::pair<int, std::string> extensions[] = {
      {NID_subject_alt_name, forgery.names},
      {NID_basic_constraints, forgery.basic_constraints},
      {NID_key_usage, forgery.key_usage},
      {NID_ext_key_usage, forgery.extended_key_usage}};
  for (const auto& [nid, value] : extensions) {
    if (value.empty()) continue;
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    EXPECT_NE(extension, nullptr) << value;
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
  }
  EXPECT_NE(X509_sign(cert, root.key.native(), EVP_sha256()), 0);
  Certificate made = Certificate::FromNative(cert);
  X509_free(cert);
  return made;
}

inline model::Identity Id(const std::string& service_account,
                          const std::string& domain = "cluster.local") {
  return {domain, "full", service_account};
}

inline Root NewRoot(const std::string& domain = "cluster.local") {
  base::StatusOr<Root> root =
      MakeRoot(domain, {.not_before = absl::Now() - absl::Minutes(1),
                        .not_after = absl::Now() + absl::Hours(87600)});
  EXPECT_TRUE(root.ok()) << root.status();
  return *std::move(root);
}

// A proper credential for `identity` signed by `root`.
inline std::shared_ptr<const Credential> NewCredential(
    const Root& root, const model::Identity& identity) {
  PrivateKey key = *PrivateKey::GenerateP256();
  Certificate leaf = *SignLeaf(root, key.native(), identity,
                               {.not_before = absl::Now() - absl::Minutes(1),
                                .not_after = absl::Now() + absl::Hours(1)});
  return std::make_shared<const Credential>(
      Credential{identity, {std::move(leaf)}, std::move(key), 1});
}

inline std::shared_ptr<const Credential> ForgedCredential(
    const Root& root, const model::Identity& identity, const Forgery& forgery) {
  PrivateKey key = *PrivateKey::GenerateP256();
  Certificate leaf = Forge(root, key, forgery);
  return std::make_shared<const Credential>(
      Credential{identity, {std::move(leaf)}, std::move(key), 1});
}

inline std::shared_ptr<const TrustBundle> NewBundle(
    const Root& root, std::vector<std::string> aliases = {}) {
  return std::make_shared<const TrustBundle>(
      TrustBundle{"cluster.local", std::move(aliases), {root.certificate}, 1});
}

}  // namespace nodeward::pki
