// SPDX-License-Identifier: Apache-2.0
//
// hbone: the data path. Connections of enrolled pods between the applications
// and their peers: CONNECT tunnels over mutual TLS, and plaintext where policy
// lets it. Gets descriptors from capture through io::PodNetwork and never
// enters a namespace. Engine's own functions are called from the control
// thread; each connection, tunnel and pool belongs to one worker loop for life.
//
// Memory: an idle connection holds no buffer. A reader that sleeps makes us
// hold 64 KiB a direction of a plaintext connection, stream_window towards an
// application and nothing from it; a tunnel at most 320 KiB of ciphertext. A
// worker that holds 64 MiB gives its tunnels no new connection window: each may
// then add 16 MiB at most.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/status.h"
#include "io/loop.h"
#include "io/pod_network.h"
#include "model/snapshot.h"
#include "observe/flow.h"
#include "observe/tap.h"
#include "pki/client_material.h"
#include "pki/credential.h"

namespace nodeward::hbone {

// The listening sockets of one pod, non-blocking. Each may be absent (no IPv6).
struct PodListeners {
  base::Fd outbound4;  // 0.0.0.0:15001 on lo
  base::Fd outbound6;  // [::1]:15001
  base::Fd inbound4;   // 127.0.0.1:15006, given to us by sk_lookup
  base::Fd inbound6;   // [::1]:15006
  base::Fd hbone;      // [::]:15008, both families
};

struct LocalPod {
  std::string uid;
  std::shared_ptr<io::PodNetwork> network;
  PodListeners listeners;
};

struct Options {
  int workers = 0;  // 0: one a CPU
  std::vector<base::Cidr> mesh_cidrs;
  absl::Duration hold = absl::Seconds(5);
  absl::Duration silent_deadline = absl::Seconds(3);
  // From the first byte of a request's head to its last.
  absl::Duration head_deadline = absl::Seconds(60);
  absl::Duration sniff_wait = absl::Milliseconds(50);
  absl::Duration handshake_timeout = absl::Seconds(10);
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration tunnel_idle = absl::Minutes(5);
  absl::Duration ping_interval = absl::Seconds(10);
  absl::Duration ping_timeout = absl::Seconds(20);
  // How long a connection may outlive the certificate of either end. None: as
  // long as that certificate was good for.
  std::optional<absl::Duration> certificate_grace;
  // Receive window of one stream: what a reader that sleeps can make us hold
  // a direction and connection.
  uint32_t stream_window = 1 << 20;
  // Open inbound connections (plaintext, tunnels, their streams) of one pod.
  int max_connections_per_pod = 65536;
  // Who looks at the traffic; outlives the engine. Null: nobody can.
  const observe::Taps* taps = nullptr;
};

class Engine {
 public:
  // Starts the workers. `credentials` and `flows` outlive the engine.
  static base::StatusOr<std::unique_ptr<Engine>> Start(
      Options options, pki::CredentialStore* credentials,
      observe::FlowSink* flows);
  // Stops and joins the workers; open connections are reset.
  virtual ~Engine() = default;

  // From now on decisions rest on `snapshot`; open connections that it forbids
  // are closed at once, on every worker. `done` (may be null) is called on the
  // thread of the last worker that has finished doing so.
  virtual void SetSnapshot(model::SnapshotPtr snapshot,
                           std::function<void()> done) = 0;
  // What DestinationRules of the next snapshots need. It comes into force with
  // the next SetSnapshot.
  virtual void SetClientMaterials(
      std::shared_ptr<const pki::ClientMaterials> materials) = 0;
  // Credentials or roots have changed in the store: new sessions use them.
  virtual void CredentialsChanged() = 0;

  virtual void AddPod(LocalPod pod) = 0;
  // The listening sockets that the pod is served on, once more, for another
  // agent to serve it on, too. None: the pod is not served.
  virtual PodListeners DuplicateListeners(const std::string& uid) = 0;
  // Accepts nothing any more, of any pod; connections go on, and tunnels take
  // streams. A listener that another agent has goes on listening.
  virtual void StopListening() = 0;
  // Closes the listeners; connections go on. `drained` is called (any thread)
  // when the last one has ended.
  virtual void DrainPod(const std::string& uid,
                        std::function<void()> drained) = 0;
  // Closes every socket of the pod at once; then `removed` (any thread).
  virtual void KillPod(const std::string& uid,
                       std::function<void()> removed) = 0;
  // Stops accepting everywhere, sends GOAWAY, and calls `drained` when all
  // connections have ended or `deadline` has passed.
  virtual void Drain(absl::Duration deadline,
                     std::function<void()> drained) = 0;

  // Open connections and tunnels, for status.
  struct Load {
    uint64_t connections = 0;
    uint64_t tunnels = 0;
    uint64_t buffered_bytes = 0;
  };
  virtual Load load() const = 0;
};

}  // namespace nodeward::hbone
