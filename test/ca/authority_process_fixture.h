// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "absl/time/clock.h"
#include "ca/config.h"
#include "pki/command.h"
#include "pki/forge.h"

namespace nodeward::ca {

// The files of a small CA, and options that name them.
class AuthorityFolder {
 public:
  AuthorityFolder() {
    mkdir((folder_ / "issuer").c_str(), 0700);
    PutIssuer(absl::Hours(48));
    PutPrivate("tokens",
               "token-of-a-0123456789 system:serviceaccount:full:a\n");
    options_.issuer = folder_ / "issuer";
    options_.token_file = folder_ / "tokens";
    options_.listen = "127.0.0.1:0";
    options_.admin = "127.0.0.1:0";
    options_.drain = "1s";
  }
  // An intermediate that is good for so long.
  void PutIssuer(absl::Duration left) {
    const absl::Time now = absl::Now();
    const pki::Root pair = *pki::MakeIntermediate(
        root_, "cluster.local", "i",
        {.not_before = now - absl::Minutes(1), .not_after = now + left});
    PutPrivate("issuer/tls.crt", pair.certificate.ToPem());
    PutPrivate("issuer/tls.key", *pair.key.ToPem());
    PutPrivate("issuer/ca.crt", root_.certificate.ToPem());
  }
  void PutPrivate(const std::string& name, const std::string& text) {
    pki::Spill(folder_ / ".new", text);
    chmod((folder_ / ".new").c_str(), 0600);
    rename((folder_ / ".new").c_str(), (folder_ / name).c_str());
  }
  Config Checked() const {
    const auto config = CheckOptions(options_);
    EXPECT_TRUE(config.ok()) << config.status();
    return *config;
  }

  const pki::Root root_ = pki::NewRoot();
  pki::TempFolder folder_;
  Options options_;
};

}  // namespace nodeward::ca
