// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "identity/file_watch.h"
#include "io/loop.h"
#include "pki/certificate.h"
#include "pki/credential.h"
#include "pki/revocation.h"

namespace nodeward::identity {

// Keeps the store's trust bundle: of files, watched, or of the roots that the
// issuer sends. Runs on the control loop.
//
// A bundle is a file, or a folder of *.crt, *.pem and *.crl. What is missing,
// does not parse, or is empty leaves the last good one in force and is a
// problem; only another trust domain's file may be empty, which ends the trust
// in it. Nothing is taken that is not the same twice in 50 ms: a file may be
// half written.
class Trust {
 public:
  struct Options {
    std::string trust_domain = {};
    std::vector<std::string> aliases = {};
    std::string bundle = "";  // empty: the roots that the issuer sends
    std::string crl = "";     // empty: none
    bool crl_required = false;
    std::map<std::string, std::string> federation = {};  // trust domain -> path
  };
  // `changed` is called on the loop after the store's bundle has changed, with
  // no call of ours on the stack. Files that cannot be used yet are no error.
  static base::StatusOr<std::unique_ptr<Trust>> Create(
      io::Loop& loop, pki::CredentialStore* store, Options options,
      std::function<void()> changed);
  ~Trust();

  // The roots that came with a certificate. They become the bundle's where no
  // file is named; true when they did and are new.
  bool Offer(const std::vector<pki::Certificate>& roots);
  // What a certificate of ours must lead to: the file's roots, or `offered`.
  const std::vector<pki::Certificate>& RootsFor(
      const std::vector<pki::Certificate>& offered) const;
  // "roots from the CA", "roots from /etc/nodeward/roots.pem".
  std::string Description() const;
  // Files that could not be used, each with its reason.
  std::vector<std::string> problems() const;

 private:
  struct Item;  // a path, what was read there, what is in force of it

  Trust(io::Loop& loop, pki::CredentialStore* store, Options options,
        std::function<void()> changed);
  void Look();
  void Take(Item& item);
  void Publish();

  io::Loop& loop_;
  pki::CredentialStore* const store_;
  const Options options_;
  const std::function<void()> changed_;
  std::vector<std::unique_ptr<Item>> items_;
  std::vector<pki::Certificate> offered_;
  std::unique_ptr<FileWatch> watch_;
  io::Timer settle_;
};

}  // namespace nodeward::identity
