// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include "base/status.h"

struct evp_pkey_st;

namespace nodeward::pki {

// A private key. Not copyable; wiped when destroyed; prints as "[key]".
//
// It is cleansed on release. After UseKeyMemory (key_memory.h) it lies in
// locked memory that no core dump has; before that in the ordinary heap.
class PrivateKey {
 public:
  static base::StatusOr<PrivateKey> GenerateP256();
  // PKCS#8 or the traditional forms, not encrypted; of a kind and size that
  // CheckKeyStrength takes.
  static base::StatusOr<PrivateKey> ParsePem(std::string_view pem);
  // PKCS#8. For the CA's own root file only; the caller wipes the text.
  base::StatusOr<std::string> ToPem() const;
  PrivateKey(PrivateKey&& other) noexcept;
  PrivateKey& operator=(PrivateKey&& other) noexcept;
  PrivateKey(const PrivateKey&) = delete;
  PrivateKey& operator=(const PrivateKey&) = delete;
  ~PrivateKey();
  evp_pkey_st* native() const { return key_; }

  friend std::ostream& operator<<(std::ostream& out, const PrivateKey&);

 private:
  explicit PrivateKey(evp_pkey_st* key) : key_(key) {}
  evp_pkey_st* key_ = nullptr;  // null only when moved from
};

// OK for EC on P-256 or P-384 (by name, not by explicit parameters) and for
// RSA of 2048 to 8192 bits: what a certificate here may carry or be signed by.
base::Status CheckKeyStrength(const evp_pkey_st* key);

// Overwrites `text` in a way that the compiler keeps, then empties it.
void Wipe(std::string* text);

}  // namespace nodeward::pki
