// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/status.h"
#include "model/destination_rule.h"
#include "model/workload.h"
#include "pki/certificate.h"
#include "pki/key.h"
#include "pki/peer_verifier.h"

struct x509_store_st;

namespace nodeward::pki {

// Who a server outside of the mesh must be, beside having a certificate of a
// trusted CA.
struct ExpectedServer {
  std::string sni = {};  // sent, and looked for in the certificate
  std::vector<std::string> names = {};  // if any, one of these, not `sni`
  bool anybody = false;                 // not even the CA counts

  friend bool operator==(const ExpectedServer&,
                         const ExpectedServer&) = default;
};

// What a client shows to servers outside of the mesh and what it verifies them
// by: the operator's files, made ready. Immutable, any thread.
class ClientMaterial {
 public:
  // PEM texts, each with the name that errors call it by.
  struct Text {
    std::string name;
    std::string_view pem;
  };
  struct Texts {
    // Certificate and key may lie in one text, which is then given twice.
    std::optional<Text> certificate, key;
    std::optional<Text> roots;  // none: the system's
    std::optional<Text> revocations;
  };
  static base::StatusOr<std::shared_ptr<const ClientMaterial>> Create(
      const Texts& texts);
  ~ClientMaterial();
  ClientMaterial(const ClientMaterial&) = delete;
  ClientMaterial& operator=(const ClientMaterial&) = delete;

  // Leaf first; empty: the client shows none.
  const std::vector<Certificate>& chain() const { return chain_; }
  // Null without a chain.
  const PrivateKey* key() const { return key_ ? &*key_ : nullptr; }

  // OK, or why the server is not believed (kUnauthenticated); `*code` becomes
  // the X509_V_ERR_* that OpenSSL makes an alert of. Of a leaf no more is asked
  // than RFC 5280 does: X.509 v1 without any extension will do, and it may live
  // longer than its CA. With revocation lists every CA of the path needs one
  // that is in date.
  base::Status CheckServer(const Presented& peer, const ExpectedServer& names,
                           int* code) const;

 private:
  ClientMaterial() = default;
  base::Status ReadPair(const Text& certificate, const Text& key);
  base::Status MakeStore(const Texts& texts);

  std::vector<Certificate> chain_;
  std::optional<PrivateKey> key_;
  x509_store_st* store_ = nullptr;
};

// What has been read for the clients of this node. Immutable.
struct ClientMaterials {
  // Null material: nothing can be used, and why.
  struct Entry {
    std::shared_ptr<const ClientMaterial> material;
    std::string error;
  };
  absl::flat_hash_map<std::string, Entry> entries;  // by KeyOf

  // What tells the files of one client and one rule's part from others.
  static std::string KeyOf(const model::Workload& client,
                           const model::ClientTls& tls);
};

}  // namespace nodeward::pki
