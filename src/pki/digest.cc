// SPDX-License-Identifier: Apache-2.0
#include "pki/digest.h"

#include <openssl/sha.h>

namespace nodeward::pki {

Digest Sha256(std::string_view bytes) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         digest.data());
  return digest;
}

std::array<uint8_t, 20> Sha1(std::string_view bytes) {
  std::array<uint8_t, 20> digest;
  SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
       digest.data());
  return digest;
}

}  // namespace nodeward::pki
