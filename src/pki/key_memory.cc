// SPDX-License-Identifier: Apache-2.0
#include "pki/key_memory.h"

#include <openssl/crypto.h>

#include <cstdint>

#include "base/text.h"
#include "pki/openssl_error.h"

namespace nodeward::pki {
namespace {

constexpr size_t kSmallestBlock = 32;  // a P-256 or X25519 key
constexpr size_t kBurnt = 64 * 1024;   // deeper than OpenSSL goes

}  // namespace

base::Status UseKeyMemory(size_t bytes) {
  if (CRYPTO_secure_malloc_initialized() == 1) return base::OkStatus();
  switch (CRYPTO_secure_malloc_init(bytes, kSmallestBlock)) {
    case 1:
      return base::OkStatus();
    case 2:
      return absl::ResourceExhaustedError(base::StrCat(
          "lock ", bytes,
          " bytes of memory for private keys: not permitted; they may be "
          "swapped out (raise RLIMIT_MEMLOCK, or give the capability "
          "IPC_LOCK)"));
    default:
      return OpenSslStatus("make memory for private keys");
  }
}

__attribute__((noinline)) void BurnStack() {
  uint8_t room[kBurnt];
  OPENSSL_cleanse(room, sizeof(room));
}

}  // namespace nodeward::pki
