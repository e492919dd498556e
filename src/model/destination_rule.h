// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/workload.h"

namespace nodeward::model {

// ClientTLSSettings: how a client is to speak to a server.
struct ClientTls {
  enum class Mode { kDisable, kSimple, kMutual, kIstioMutual };
  Mode mode = Mode::kDisable;
  // Paths in the client pod's proxy volumes, never on the agent's disk.
  std::string client_certificate;
  std::string private_key;
  std::string ca_certificates;  // empty: the system's roots
  std::string ca_crl;
  std::string credential_name;  // a Secret of the client's namespace instead
  std::string sni;
  std::vector<std::string> subject_alt_names;  // one of them; empty: any
  bool insecure_skip_verify = false;

  // kSimple and kMutual: TLS to a server that need not know the mesh.
  bool originates() const {
    return mode == Mode::kSimple || mode == Mode::kMutual;
  }

  friend bool operator==(const ClientTls&, const ClientTls&) = default;
};
std::string_view ClientTlsModeText(ClientTls::Mode mode);  // "ISTIO_MUTUAL" …

// What a networking.istio.io DestinationRule says of TLS.
struct DestinationRule {
  std::string name;
  std::string name_space;
  int64_t created = 0;  // seconds since the epoch; 0: not told
  std::string host;     // "mongo.mongo.svc.cluster.local", "*.local", "*"
  Labels selector;      // of client workloads in its namespace; empty: all
  // Namespaces that see it; empty or "*": all. "." is written out.
  std::vector<std::string> export_to;
  std::optional<ClientTls> tls;  // none: as if there were no rule
  // Service ports with settings of their own, which replace `tls` entirely.
  std::map<uint16_t, std::optional<ClientTls>> port_tls;
  // Not empty: the rule is broken and was never good. Nobody can know what it
  // was to secure, so connections to its host are refused, and this is why.
  std::string broken;
  std::string file;  // where it stands; may be empty
  int line = 0;

  std::string QualifiedName() const { return name_space + "/" + name; }
  bool VisibleIn(std::string_view client_namespace) const;
  // Does `host`, which may have a wildcard, cover `name`?
  bool Covers(std::string_view name) const;
  // Settings for a service port; null: none.
  const ClientTls* TlsFor(uint16_t port) const;
  // Whether it can ask for anything but plaintext anywhere.
  bool Secures() const;

  friend bool operator==(const DestinationRule&,
                         const DestinationRule&) = default;
};

}  // namespace nodeward::model
