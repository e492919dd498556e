// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "pki/authority.h"
#include "pki/certificate.h"

namespace nodeward::pki {

// Where an operator put what the CA signs with.
struct IssuerPlace {
  // A folder (also a mounted Secret), or one PEM file with everything in it.
  std::string path;
  // The certificate's file in the folder; empty: the rules below.
  std::string pair;
  // A PEM file, or a folder of *.crt and *.pem, of the roots; empty: what the
  // folder itself has.
  std::string roots;
};

// Reads, and checks nothing but that it parses. In a folder, in this order:
//
//   tls.crt      tls.key      roots ca.crt         kubernetes.io/tls,
//                                                  cert-manager
//   crt.pem      key.pem      roots ca.crt,        linkerd.io/tls
//                             ca-bundle.crt
//   ca-cert.pem  ca-key.pem   roots root-cert.pem  Istio's cacerts; others of
//                             + cert-chain.pem     the chain
//   NAME.crt     NAME.key     roots *.crt          certstrap, step, openssl
//   one *.pem with both       roots in it          CombinedPEM
//
// The first pair that is there is the one; it is not passed over for another
// when it turns out to be bad. So of tls.crt and crt.pem in one Secret tls.crt
// counts: that is where cert-manager writes when it adds to a Secret that
// another tool made, and what it renews; the warning says that there are two.
// Of several NAMEs those of CAs count, and of these the one signed by another.
// A Secret's files are read from one generation of it ("..data"). A signer that
// is self-signed is its own root where none is named.
base::StatusOr<AuthorityParts> ReadIssuer(const IssuerPlace& place);

// The certificates of a PEM file, or of the *.crt and *.pem in a folder.
base::StatusOr<std::vector<Certificate>> ReadRoots(const std::string& path);

}  // namespace nodeward::pki
