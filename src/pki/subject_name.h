// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/x509v3.h>

#include <string>
#include <vector>

#include "base/handle.h"
#include "base/ip.h"
#include "base/status.h"
#include "model/identity.h"

namespace nodeward::pki {

using GeneralNames = base::Handle<GENERAL_NAMES, GENERAL_NAMES_free>;
using Extension = base::Handle<X509_EXTENSION, X509_EXTENSION_free>;

// The one SPIFFE ID among the subject alternative names; `names` may be null.
// Names that are no URI are skipped, a second URI is an error (X.509-SVID
// section 2).
base::StatusOr<model::Identity> OneSpiffeId(const GENERAL_NAMES* names);

// A critical subjectAltName extension with nothing but `identity`. Built from
// parts, never from OpenSSL's configuration syntax, where a comma in a name
// would start another one.
base::StatusOr<Extension> SpiffeExtension(const model::Identity& identity);

// A critical subjectAltName extension with DNS names and addresses, at least
// one in all.
base::StatusOr<Extension> ServerExtension(
    const std::vector<std::string>& dns,
    const std::vector<base::IpAddress>& addresses);

}  // namespace nodeward::pki
