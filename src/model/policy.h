// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/workload.h"

namespace nodeward::model {

// PeerAuthentication.mtls.mode; kUnset inherits from the next wider level.
enum class MtlsMode { kUnset, kDisable, kPermissive, kStrict };
std::string_view MtlsModeText(MtlsMode mode);  // "UNSET", "STRICT" …

// A security.istio.io PeerAuthentication as written.
struct PeerAuthentication {
  std::string name;
  std::string name_space;
  // Seconds since the epoch; 0 when the object carries none (all such are
  // equally old, then name, then namespace decides).
  int64_t created = 0;
  Labels selector;  // empty: no selector
  MtlsMode mode = MtlsMode::kUnset;
  std::map<uint16_t, MtlsMode> port_modes;  // workload ports
  std::string file;                         // where it stands; may be empty
  int line = 0;

  std::string QualifiedName() const { return name_space + "/" + name; }

  friend bool operator==(const PeerAuthentication&,
                         const PeerAuthentication&) = default;
};

// A security object that applies here but cannot be honoured: it does not
// parse and no good version was ever seen. Everything that it may concern is
// closed to all but probes.
struct ClosingPolicy {
  std::string kind;
  std::string name;  // may be empty when the document names none
  std::string name_space;
  bool mesh_wide = false;  // it lies in the root namespace, or names none
  Labels selector;         // empty: every workload of its scope
  std::string reason;

  // "mtls-test/httpbin"; "mtls-test/" or "/" where the document names less.
  std::string QualifiedName() const { return name_space + "/" + name; }
  bool Concerns(const Workload& workload) const;
};

}  // namespace nodeward::model
