// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "ca/object_name.h"
#include "io/loop.h"
#include "kube/back_off.h"
#include "kube/http_client.h"
#include "kube/resource_watch.h"

namespace nodeward::ca {

inline constexpr char kManagedBy[] = "app.kubernetes.io/managed-by";
inline constexpr char kManager[] = "nodeward-ca";

// Keeps the key root-cert.pem of ConfigMaps at the roots that the CA's
// certificate leads to, for those who ask the CA or meet a certificate of it:
// one for the agents, and one of the same name in each namespace that has opted
// in, which is made there, mended when somebody changes or deletes it, and
// removed when the namespace opts out. A namespace's ConfigMap that lacks our
// label (kManagedBy) is somebody else's, and left alone.
//
// All verbs that it needs can be limited to that one name: it lists and watches
// by it, and makes by server-side apply. On the loop's thread.
class RootBundles {
 public:
  struct Options {
    ObjectName place;         // that of the agents
    bool namespaces = false;  // those of opted-in namespaces, too
    // That of the agents is made by whoever installs us, and taken away by
    // whoever uninstalls us, a moment before we are: only one that is missing
    // for so long is made anew, or the next installation would stumble over it.
    absl::Duration patience = absl::Seconds(5);
  };
  // `random` gives 0 to 1. `loop` and `client` outlive this.
  RootBundles(io::Loop& loop, kube::HttpClient* client, Options options,
              std::function<double()> random);
  ~RootBundles();
  RootBundles(const RootBundles&) = delete;
  RootBundles& operator=(const RootBundles&) = delete;

  // From now on these.
  void Set(std::string roots_pem);
  // Everything is as it should be, as far as it can be seen.
  bool published() const;

 private:
  class Namespaces;
  class ConfigMaps;
  struct Known {
    bool ours = false;
    std::string roots;
    std::string uid;
  };
  struct Failed {
    kube::BackOff back_off;
    absl::Time next;
  };

  bool IsSynced() const;
  bool KnowsConfigMaps() const;
  void LogProblems();
  bool IsWanted(const std::string& name_space) const;
  bool NeedsWrite(const std::string& name_space) const;
  bool AwaitsOthers(const std::string& name_space, absl::Time now) const;
  bool NeedsRemoval(const std::string& name_space) const;
  // Those in which something is to be done.
  std::vector<std::string> Amiss() const;
  void Update();
  void Write(const std::string& name_space);
  void Remove(const std::string& name_space);
  void OnAnswer(const std::string& name_space, const std::string& written,
                const kube::HttpClient::Answer& answer);
  void LogForeign(const std::string& name_space);
  std::string TargetOf(const std::string& name_space) const;

  const Options options_;
  kube::HttpClient* const client_;
  const std::function<double()> random_;
  std::string roots_;
  absl::Time missing_since_ = absl::InfiniteFuture();  // that of the agents
  std::set<std::string> opted_in_;                     // namespaces
  std::map<std::string, Known> known_;  // ConfigMaps, by namespace
  std::set<std::string> asked_;         // by namespace
  std::map<std::string, Failed> failed_;
  std::set<std::string> foreign_;  // told of
  std::string told_;               // the last problem of a write
  std::string logged_;             // the last problem of a watch
  io::Timer soon_;
  io::Timer tick_;
  std::unique_ptr<Namespaces> namespaces_;  // null: not followed
  std::unique_ptr<ConfigMaps> config_maps_;
  std::vector<std::unique_ptr<kube::ResourceWatch>> watches_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::ca
