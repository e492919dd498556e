// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "base/json.h"
#include "base/status.h"
#include "kube/back_off.h"
#include "kube/list_scanner.h"

namespace nodeward::kube {

// What is followed.
struct Resource {
  std::string kind;
  // "/apis/security.istio.io/v1/peerauthentications"; if that is not served,
  // the next one.
  std::vector<std::string> paths;
  std::string field_selector = {};  // empty: all
  // Not served at all (its CustomResourceDefinition is missing): there are
  // none.
  bool optional = false;
  // Nothing is decided by it: nobody waits until all of it has been told.
  bool advisory = false;
};

// Told of what the API server has.
class ObjectSink {
 public:
  virtual ~ObjectSink() = default;
  // A new or changed object, or one told of again. `kind` and `apiVersion` may
  // be missing.
  virtual void Put(base::Json object) = 0;
  // By key, "namespace/name" or "name".
  virtual void Remove(const std::string& key) = 0;
  // Everything has been told of: what is not among `keys` is gone.
  virtual void Synced(const absl::flat_hash_set<std::string>& keys) = 0;
};

// "mtls-test/httpbin", "mtls-test" of a Namespace.
std::string KeyOf(const base::Json& object);

// The protocol of one resource, list and watch: says what to ask next, takes
// what is answered. Does no I/O.
//
// A stream that begins with everything there is (WatchList) where the server
// has it, else a list in pages and then a watch. A watch goes on after the last
// version that it told of. 410, as a status or inside of a stream, means that
// this version is forgotten: everything is asked for again, and what has gone
// meanwhile is removed. Any other failure is tried again after a while; what is
// known stays.
class Reflector {
 public:
  // The next request: GET `target` after `delay`.
  struct Step {
    absl::Duration delay;
    std::string target;
    absl::Duration deadline;  // for the whole answer
    bool watches = false;     // of no end of its own
    bool unanswered = false;  // the delay is because nobody answered
  };
  // How an answer ended.
  struct End {
    base::Status transport;  // not OK: it broke off, or never came
    int status = 0;          // 0: none
    absl::Duration retry_after;
    absl::Time now;
  };

  // `random` gives 0 to 1. `sink` outlives this.
  Reflector(Resource resource, ObjectSink* sink, std::function<double()> random)
      : resource_(std::move(resource)),
        sink_(sink),
        random_(std::move(random)) {}

  Step Begin(absl::Time now);
  // The answer begins.
  void OnHead(int status);
  // A part of the answer. False: enough, break off.
  bool OnBody(int status, std::string_view bytes);
  Step OnEnd(const End& end);

  // Everything has been told of once.
  bool synced() const { return synced_; }
  // Why nothing new is learnt; empty: all is well.
  const std::string& problem() const { return problem_; }
  const Resource& resource() const { return resource_; }

 private:
  enum class Mode {
    kStream,  // everything there is, and then what changes
    kList,    // pages
    kWatch,   // what changes
  };

  Step Ask(absl::Duration delay, absl::Time now);
  std::string Target(absl::Duration timeout) const;
  void OnLine(std::string_view line);
  void OnItem(std::string_view text);
  void OnBookmark(const base::Json& object);
  void FinishSync();
  void StartOver(const std::string& version);

  Step AfterSuccess(const End& end);
  Step AfterPage(const End& end);
  Step AfterRefusal(int status, const std::string& reason, const End& end);
  Step AfterExpiry(const End& end);
  Step AfterMissing(const End& end);
  Step Retry(const std::string& why, const End& end);

  const Resource resource_;
  ObjectSink* const sink_;
  const std::function<double()> random_;
  BackOff back_off_;
  Mode mode_ = Mode::kStream;
  bool streams_ = true;  // WatchList has not been refused
  size_t path_ = 0;      // of resource_.paths
  int missing_ = 0;      // times in a row that no path was served
  bool synced_ = false;
  bool unanswered_ = false;  // the last request was
  std::string problem_;

  std::string version_;  // of the last event; where to go on
  std::string minimum_;  // of the next list; empty: the newest
  std::string continue_;
  absl::flat_hash_set<std::string> seen_;  // in the list or stream under way

  // Of the answer under way.
  absl::Time asked_;
  std::string line_;  // the beginning of one; of a refusal: its body
  std::optional<ListScanner> list_;
  bool malformed_ = false;
  size_t events_ = 0;
  struct Refusal {
    int code;
    std::string reason;
  };
  std::optional<Refusal> error_;  // told inside of a stream
};

}  // namespace nodeward::kube
