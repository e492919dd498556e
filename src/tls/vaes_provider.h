// SPDX-License-Identifier: Apache-2.0
//
// AES-GCM with 512-bit vectors (VAES, VPCLMULQDQ) for sessions, where the CPU
// has them: OpenSSL knows them from 3.1 on, ipsec-mb's code does here. A
// provider of OpenSSL's, inside this process and in a library context of its
// own; nothing changes for users of OpenSSL's default context. Any thread.
//
// The ciphers take what EVP gives them, with two refusals: IVs of other than
// 12 bytes, and more than 64 bytes of associated data. They do not know the
// parameters of TLS 1.2's record layer.
#pragma once

#include <openssl/types.h>

namespace nodeward::tls {

// The context to make SSL_CTXs in, with OpenSSL's own provider and ours; lives
// as long as the process. Null, which is OpenSSL's default context, where the
// CPU or the operating system lacks the vectors or ipsec-mb fails its
// self-test.
OSSL_LIB_CTX* VaesLibrary();

// The property query that goes with it: ours for what it has, OpenSSL's for
// everything else. Holds for the default context, too.
inline constexpr char kVaesFirst[] = "?provider=nodeward";

}  // namespace nodeward::tls
