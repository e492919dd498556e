// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "model/snapshot.h"
#include "observe/flow.h"

namespace nodeward::observe {

// The agent's Prometheus metrics: the istio_tcp_* families with the labels that
// Istio's dashboards query, and our own nodeward_* ones. All functions belong
// to one thread, except Text, which any may call.
class Metrics {
 public:
  // Label sets of connections beyond this fall into one of unknown ends, and
  // nodeward_metric_label_sets_limited_total counts them.
  static constexpr size_t kMaxLabelSets = 10000;

  struct Options {
    std::string version;  // nodeward_build_info
    size_t max_label_sets = kMaxLabelSets;
  };
  explicit Metrics(Options options);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void Opened(const Flow& flow);
  // `opened`: an Opened went before; else the connection failed or was refused.
  void Closed(const Flow& flow, bool opened);
  void AddLostFlowEvents(uint64_t count);

  // From now on only workloads of `snapshot` have series of their own: those of
  // workloads (namespace and workload name) that it lacks are dropped, and ends
  // of connections that they leave behind make none anew. Call it before the
  // data path gets the snapshot.
  void DropWorkloads(const model::Snapshot& snapshot);

  // Counters of the BPF programs, name -> value; those named probe_exempted is
  // nodeward_probe_exempted_total, too. Values never go back, except to start
  // again from 0.
  void SetBpfVerdicts(
      const absl::flat_hash_map<std::string, uint64_t>& verdicts);
  // SPIFFE ID -> expiry; exactly these have a series afterwards.
  void SetCertificates(
      const std::vector<std::pair<std::string, absl::Time>>& certificates);
  // State ("enrolled") -> number of local pods; exactly these afterwards.
  void SetPods(const absl::flat_hash_map<std::string, int>& pods);
  void SetSourceProblems(int64_t count);
  void SetLoad(uint64_t connections, uint64_t tunnels, uint64_t buffered_bytes);

  // Prometheus text format, version 0.0.4.
  std::string Text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nodeward::observe
