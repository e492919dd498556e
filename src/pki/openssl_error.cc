// SPDX-License-Identifier: Apache-2.0
#include "pki/openssl_error.h"

#include <openssl/err.h>

#include "base/text.h"

namespace nodeward::pki {

std::string TakeOpenSslReason() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (error == 0) return "OpenSSL gives no reason";
  if (const char* reason = ERR_reason_error_string(error)) return reason;
  char text[256];
  ERR_error_string_n(error, text, sizeof(text));
  return text;
}

base::Status OpenSslStatus(std::string_view what, absl::StatusCode code) {
  const std::string reason = TakeOpenSslReason();
  return base::Status(code, base::StrCat(what, ": ", reason));
}

}  // namespace nodeward::pki
