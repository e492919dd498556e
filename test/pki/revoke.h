// SPDX-License-Identifier: Apache-2.0
//
// Revocation lists and intermediate CAs, for tests.
#pragma once

#include <gtest/gtest.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "pki/forge.h"
#include "pki/revocation.h"

namespace nodeward::pki {

// PEM of a list of `issuer`'s; `lasts` < 0 makes it out of date.
inline std::string RevokePem(const Root& issuer,
                             const std::vector<const Certificate*>& revoked,
                             absl::Duration lasts = absl::Hours(1)) {
  X509_CRL* list = X509_CRL_new();
  const absl::Time now = absl::Now();
  ASN1_TIME* time = ASN1_TIME_set(nullptr, absl::ToTimeT(now - absl::Hours(2)));
  X509_CRL_set_version(list, X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list,
                           X509_get_subject_name(issuer.certificate.native()));
  X509_CRL_set1_lastUpdate(list, time);
  for (const Certificate* each : revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(each->native()));
    X509_REVOKED_set_revocationDate(entry, time);
    X509_CRL_add0_revoked(list, entry);
  }
  ASN1_TIME_set(time, absl::ToTimeT(now + lasts));
  X509_CRL_set1_nextUpdate(list, time);
  ASN1_TIME_free(time);
  X509_CRL_sort(list);
  EXPECT_NE(X509_CRL_sign(list, issuer.key.native(), EVP_sha256()), 0);
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_CRL(bio, list);
  X509_CRL_free(list);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  return pem;
}

inline RevocationList Revoke(const Root& issuer,
                             const std::vector<const Certificate*>& revoked,
                             absl::Duration lasts = absl::Hours(1)) {
  auto lists =
      RevocationList::ParsePemBundle(RevokePem(issuer, revoked, lasts));
  EXPECT_TRUE(lists.ok()) << lists.status();
  return lists->front();
}

// A CA under `root`, with a key of its own.
inline Root Intermediate(const Root& root) {
  PrivateKey key = *PrivateKey::GenerateP256();
  Certificate certificate = Forge(root, key,
                                  {.basic_constraints = "critical,CA:TRUE",
                                   .key_usage = "critical,keyCertSign,cRLSign",
                                   .extended_key_usage = "",
                                   .organization = "intermediate",
                                   .not_after = absl::Now() + absl::Hours(24)});
  return Root{std::move(certificate), std::move(key)};
}

}  // namespace nodeward::pki
