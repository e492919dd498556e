// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/json.h"
#include "observe/flow.h"

namespace nodeward::observe {

// Who spoke to whom lately, and whether all of it was secured: every connection
// open now and those that ended within kRetention, as told by either end. One
// thread.
//
// An edge is secured only when every connection in it was mutual TLS with both
// identities verified and equal to those of the workloads. Refused connections
// make an edge only as long as none ever passed, so that a refused neighbour is
// seen but never spoils, or makes, a secured edge.
class Edges {
 public:
  static constexpr absl::Duration kRetention = absl::Minutes(10);
  // Edges beyond this are not recorded; `truncated` then tells.
  static constexpr size_t kMaxEdges = 20000;

  void Opened(const Flow& flow, absl::Time now);
  void Closed(const Flow& flow, absl::Time now);
  // A flow known by Opened whose end could not be delivered.
  void Lost(uint64_t flow_id, absl::Time now);

  // The reply to `edges`:
  //   {"edges":[{"src","src_namespace","dst","dst_namespace","client_id",
  //              "server_id","no_tls_reason","last_refusal"}…],"truncated":false}
  // sorted by both namespaces, then both names; no_tls_reason is empty exactly
  // when the edge is secured; last_refusal tells why a connection was last
  // refused or failed, and is empty when none was. With `name_space` only the
  // edges that have an end in it.
  base::Json Result(const std::string& name_space, absl::Time now);

 private:
  struct Key {
    std::string src_namespace, dst_namespace, src, dst;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  // What one connection amounts to.
  enum Class : uint8_t {
    kSecured,
    kPlaintext,
    kPassthrough,
    kOriginated,
    kUnverified,
    kMismatch,
    kUnknown,
    kRefused,
    kFailed,
    kClasses,
  };
  using Counts = std::array<uint64_t, kClasses>;
  struct Bucket {
    absl::Time start;
    Counts closed{};
  };
  // One end's view. A connection inside one node is seen by both ends, so the
  // two are never added up.
  struct View {
    Counts open{};
    std::deque<Bucket> buckets;
    Counts Total() const;
  };
  struct Edge {
    std::array<View, 2> views;         // by Reporter
    std::string client_id, server_id;  // of the last verified connection
    std::string refusal;               // why the last one was refused or failed
  };
  // One for every connection that is open now: no larger than it must be.
  struct OpenFlow {
    Edge* edge;  // in edges_, where an open connection keeps it
    Reporter reporter;
    Class kind;
  };

  static Key KeyOf(const Flow& flow);
  static Class Classify(const Flow& flow, bool opened);
  static std::string_view ClassText(Class kind);
  static std::string Reason(const Edge& edge);
  Edge* Find(const Flow& flow, absl::Time now);
  // Who was last verified at its ends.
  static void Note(Edge* edge, const Flow& flow);
  void Count(View& view, Class kind, absl::Time now);
  void Expire(absl::Time now);

  std::map<Key, Edge> edges_;  // in the order in which they are shown
  absl::flat_hash_map<uint64_t, OpenFlow> open_;
  bool truncated_ = false;
  absl::Time swept_ = absl::InfinitePast();
};

}  // namespace nodeward::observe
