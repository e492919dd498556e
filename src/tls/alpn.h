// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "tls/context.h"

namespace nodeward::tls {

// What a client of this kind offers: the one name, without its length.
std::string_view OfferedAlpn(Context::Options::Alpn kind);

// Makes `context` negotiate the application protocol as the options of Context
// say, on the side that `role` is.
base::Status UseAlpn(ssl_ctx_st* context, Role role,
                     Context::Options::Alpn kind);

}  // namespace nodeward::tls
