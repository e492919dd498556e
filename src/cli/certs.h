// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

struct CertsOptions {
  std::string run_dir;
  std::string output = "table";  // or json
};
base::StatusOr<int> Certs(Environment& environment,
                          const CertsOptions& options);

struct ShowCertificateOptions {
  std::string run_dir;
  std::string identity;  // SPIFFE ID or namespace/account
  bool text = false;     // decoded; else PEM
};
base::StatusOr<int> ShowCertificate(Environment& environment,
                                    const ShowCertificateOptions& options);

}  // namespace nodeward::cli
