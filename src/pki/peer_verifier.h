// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/status.h"
#include "model/identity.h"
#include "pki/certificate.h"
#include "pki/credential.h"

struct x509_store_st;
struct stack_st_X509;

namespace nodeward::pki {

// What a peer has shown: borrowed for the call.
struct Presented {
  x509_st* leaf = nullptr;
  stack_st_X509* others = nullptr;  // intermediates; may be null
  bool by_client = false;           // the peer is the client of the two
};

// A trust bundle made ready to judge peers. Immutable, any thread.
//
// A peer is verified against the roots of the trust domain that its SPIFFE ID
// names, ours and its aliases sharing one set, and never against those of
// another (X.509-SVID section 5). Revocation lists count for every CA of the
// path: what a list names is refused, also when the list itself is out of date.
// Where there is no list of a CA, or only an old one, its certificates pass,
// unless the bundle says that a list is required.
class PeerVerifier {
 public:
  static base::StatusOr<std::shared_ptr<const PeerVerifier>> Create(
      std::shared_ptr<const TrustBundle> bundle);
  ~PeerVerifier();
  PeerVerifier(const PeerVerifier&) = delete;
  PeerVerifier& operator=(const PeerVerifier&) = delete;

  // Who the peer is, or why it is not believed (kUnauthenticated). For a
  // handshake; `*code` becomes the X509_V_ERR_* that OpenSSL makes an alert of.
  base::StatusOr<model::Identity> Verify(const Presented& peer,
                                         int* code) const;
  // The same for a connection that is open already: dates do not count.
  base::Status CheckAgain(const Presented& peer) const;

  const TrustBundle& bundle() const { return *bundle_; }

 private:
  explicit PeerVerifier(std::shared_ptr<const TrustBundle> bundle)
      : bundle_(std::move(bundle)) {}
  base::Status AddStore(const std::string& domain,
                        const std::vector<Certificate>& roots);
  base::Status CheckPath(const Presented& peer, const std::string& domain,
                         bool dates, int* code) const;
  base::StatusOr<model::Identity> Judge(const Presented& peer, bool dates,
                                        int* code) const;

  const std::shared_ptr<const TrustBundle> bundle_;
  // By trust domain; ours stands for its aliases.
  absl::flat_hash_map<std::string, x509_store_st*> stores_;
};

// Whether peers that `before` took may be refused by `after`: a root is gone,
// or the revocation lists are not the same.
bool TakesTrustAway(const TrustBundle& before, const TrustBundle& after);

}  // namespace nodeward::pki
