// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "admin/certificates.h"
#include "admin/control.h"
#include "admin/http_server.h"
#include "admin/readiness.h"
#include "admin/run_dir.h"
#include "admin/status.h"
#include "agent/config.h"
#include "agent/handover.h"
#include "agent/node_plugin.h"
#include "agent/pod_sink.h"
#include "base/status.h"
#include "capture/enroller.h"
#include "discovery/source.h"
#include "hbone/engine.h"
#include "identity/client_files.h"
#include "identity/renewer.h"
#include "identity/trust.h"
#include "io/loop.h"
#include "io/signals.h"
#include "kube/source.h"
#include "model/check.h"
#include "model/snapshot.h"
#include "observe/access_log.h"
#include "observe/flow_recorder.h"
#include "observe/metrics.h"
#include "observe/tap.h"
#include "pki/credential.h"
#include "pki/issuer.h"

namespace nodeward::agent {

// What an agent gets from the one that it takes over from.
struct HandedOver {
  std::unique_ptr<OtherAgent> giver;
  admin::DescriptorLine sockets;  // lock, control, metrics, readiness
  std::vector<capture::HandedPod> pods;
};

// One agent: every room's object, in the order in which they are built. Members
// are destroyed in reverse, so that nobody outlives what it points to.
class Agent {
 public:
  // Builds everything, up to the first snapshot under way to the data path. On
  // error nothing of it runs on; what was pinned stays pinned (closed, not
  // open).
  static base::StatusOr<std::unique_ptr<Agent>> Start(const Config& config);
  ~Agent();

  // Serves until SIGTERM or SIGINT, or until another agent has taken over, then
  // drains. One that is to take over itself waits for its turn first; an error
  // is why that cannot be.
  base::Status Run();

 private:
  explicit Agent(const Config& config);
  base::Status Build();
  base::Status BuildIdentity();
  base::Status BuildDataPath();
  base::Status BuildEnroller();
  // On the sockets of `handed`, if it has any.
  base::Status BuildAdmin(HandedOver* handed);
  void BuildControl();
  base::StatusOr<std::unique_ptr<admin::HttpServer>> ServeHttp(
      uint16_t port, base::Fd handed, admin::HttpServer::Routes routes);
  base::Status BuildSource();
  // For the agent that serves the node, and no other.
  base::Status BuildPlugin();

  // A change takes effect in this order: certificates are asked for, the
  // workers decide by it (and close what it forbids), then the kernel steers by
  // it. So nothing is captured that the workers know nothing of.
  void OnSnapshot(const model::SnapshotPtr& snapshot);
  // An operator reads the log for what is new; status has them all.
  static void LogNewProblems(const std::vector<model::Problem>& before,
                             const std::vector<model::Problem>& now);
  void Steer(model::SnapshotPtr snapshot);
  void OnSignal(int signal);
  void BeginStop();
  // Ends, with what is pinned left in place.
  void Stop();
  void AwaitQuiet();
  void EndService(absl::Duration drain);
  // Ends, with every pod out of the mesh and nothing left of nodeward on the
  // node.
  void Leave();
  void AwaitLeave();
  void RemoveFromNode();

  // Two agents of one node, one after the other (handover.h). The later one:
  // looks whether it is its turn, again and again.
  void AwaitTurn();
  void SayWaiting(const std::string& why);
  void Fail(base::Status why);
  std::vector<std::string> MissingToServe() const;
  base::StatusOr<HandedOver> AskForAll();
  base::Status KnowsAll(const HandedOver& handed) const;
  base::Status TakeOver();
  // Captures pods and opens the ports of its own; `handed` may be null.
  base::Status BeginServing(HandedOver* handed);
  void OnFormerGone();
  // The earlier one:
  HandoverTerms Terms() const;
  void OnTakeoverRequest(base::Fd connection, const base::Json& args);
  base::Status SendAll();
  void KeepServing(std::string_view why);
  void ForgetTaker();
  void OnTakerGone();
  void Yield();
  void EndWhenDone();
  // Tells the source what the kernel has come to.
  void TellEnrolled();
  // Readiness, every second: what nobody announces.
  void Refresh();
  void TrimHeap();
  // The metrics with their gauges as they are now. From the scrape's thread.
  std::string Scrape();
  void RefreshMetrics();
  admin::StatusReport Report() const;
  std::vector<std::string> UnreadyReasons() const;
  std::vector<std::string> MissingCertificates() const;
  std::vector<admin::CertificateReport> Certificates() const;
  std::vector<model::CheckCategory> Check() const;
  model::CheckCategory CheckKernel() const;
  model::CheckCategory CheckCapture() const;
  model::CheckCategory CheckAgent() const;
  model::CheckCategory CheckNetwork() const;

  const Config config_;
  const absl::Time started_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<io::Signals> signals_;
  std::optional<admin::RunDir> run_dir_;
  std::unique_ptr<pki::Issuer> issuer_;
  pki::CredentialStore credentials_;
  std::unique_ptr<observe::Metrics> metrics_;
  std::unique_ptr<observe::AccessLog> access_log_;
  std::unique_ptr<observe::FlowRecorder> recorder_;
  observe::Taps taps_;
  std::unique_ptr<hbone::Engine> engine_;
  std::unique_ptr<EnginePods> pods_;
  std::unique_ptr<identity::Trust> trust_;
  std::unique_ptr<identity::Renewer> renewer_;
  identity::ClientFiles client_files_;
  std::unique_ptr<capture::Enroller> enroller_;
  std::unique_ptr<discovery::Source> source_;
  kube::Source* kubernetes_ = nullptr;       // source_, when it is that
  cni::ToldSandboxes* sandboxes_ = nullptr;  // its, when it is that
  std::unique_ptr<NodePlugin> plugin_;       // null: none is to be installed
  model::SnapshotPtr latest_;                // the last one the source told of
  model::SnapshotPtr decided_;  // the last one the workers decide by
  model::SnapshotPtr steered_;  // the last one the kernel steers by
  admin::Readiness readiness_;
  std::unique_ptr<io::Timer> refresh_;
  std::unique_ptr<io::Timer> trim_;
  absl::Time next_trim_ = absl::InfinitePast();
  std::unique_ptr<admin::ControlServer> control_;
  std::unique_ptr<admin::HttpServer> metrics_server_;
  std::unique_ptr<admin::HttpServer> ready_server_;
  bool stopping_ = false;
  bool signalled_ = false;  // asked to stop; how, is being found out
  bool leaving_ = false;    // un-enrols everything, then stops
  std::unique_ptr<io::Timer> leave_;
  bool marks_removed_ = false;
  absl::Time leave_by_;
  int signal_ = 0;  // which asked to stop
  std::unique_ptr<io::Timer> quiet_;
  absl::Time stop_by_;
  bool service_ended_ = false;  // accepts no connection any more

  std::unique_ptr<io::Timer> turn_;
  std::string waits_for_;
  absl::Time ask_again_ = absl::InfinitePast();
  base::Status failure_;                // ends Run
  std::unique_ptr<OtherAgent> former_;  // whom this one took over from
  std::unique_ptr<OtherAgent> taker_;   // who takes over from this one
  std::unique_ptr<io::Timer> handover_deadline_;
  std::unique_ptr<io::Timer> settle_;
  bool yielded_ = false;  // the taker serves
  bool drained_ = false;  // yielded_, and no connection is left
};

}  // namespace nodeward::agent
