// SPDX-License-Identifier: Apache-2.0
#include "hbone/engine.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "hbone/mesh_view.h"
#include "hbone/pod.h"
#include "hbone/worker.h"

namespace nodeward::hbone {
namespace {

// Calls `done` when the last copy is gone: each worker holds one until it has
// done its part.
std::shared_ptr<void> WhenAllAreDone(std::function<void()> done) {
  return std::shared_ptr<void>(nullptr, [done = std::move(done)](void*) {
    if (done != nullptr) done();
  });
}

// `drained` once, whoever is first: the end of the last connection or the
// deadline.
class DrainDeadline {
 public:
  explicit DrainDeadline(std::function<void()> drained)
      : drained_(std::move(drained)) {}
  void Fire() {
    if (!fired_.exchange(true) && drained_ != nullptr) drained_();
  }

 private:
  const std::function<void()> drained_;
  std::atomic<bool> fired_{false};
};

class EngineImpl final : public Engine {
 public:
  EngineImpl(Options options, observe::FlowSink* flows)
      : options_(std::move(options)), flows_(flows) {}
  ~EngineImpl() override;

  base::Status StartWorkers(const pki::CredentialStore* credentials);
  void SetSnapshot(model::SnapshotPtr snapshot,
                   std::function<void()> done) override;
  void CredentialsChanged() override;
  void AddPod(LocalPod pod) override;
  void DrainPod(const std::string& uid,
                std::function<void()> drained) override;
  void KillPod(const std::string& uid, std::function<void()> removed) override;
  void Drain(absl::Duration deadline, std::function<void()> drained) override;
  Load load() const override;

 private:
  const Options options_;
  observe::FlowSink* const flows_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

EngineImpl::~EngineImpl() {
  for (const auto& worker : workers_) worker->Stop();
}

base::Status EngineImpl::StartWorkers(
    const pki::CredentialStore* credentials) {
  const int wanted =
      options_.workers > 0
          ? options_.workers
          : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<Worker*> peers;
  for (int i = 0; i < wanted; ++i) {
    NODEWARD_ASSIGN(auto worker,
                    Worker::Create(i, &options_, credentials, flows_));
    peers.push_back(worker.get());
    workers_.push_back(std::move(worker));
  }
  for (const auto& worker : workers_) worker->SetPeers(peers);
  for (const auto& worker : workers_) worker->Start();
  return base::OkStatus();
}

void EngineImpl::SetSnapshot(model::SnapshotPtr snapshot,
                             std::function<void()> done) {
  auto mesh = std::make_shared<const MeshView>(std::move(snapshot));
  auto all = WhenAllAreDone(std::move(done));
  for (const auto& worker : workers_) {
    // Moved into the call, so that it is let go of on the worker's thread and
    // before the next posted work.
    worker->Post([w = worker.get(), mesh, part = all]() mutable {
      w->SetMesh(std::move(mesh));
      part.reset();
    });
  }
}

void EngineImpl::CredentialsChanged() {
  for (const auto& worker : workers_) {
    worker->Post([w = worker.get()] { w->CredentialsChanged(); });
  }
}

void EngineImpl::AddPod(LocalPod pod) {
  auto shared = std::make_shared<SharedPod>();
  shared->uid = std::move(pod.uid);
  shared->network = std::move(pod.network);
  auto listeners = std::make_shared<PodListeners>(std::move(pod.listeners));
  // First all know the pod, then all listen: one may give another a connection
  // as soon as it listens.
  for (const auto& worker : workers_) {
    worker->Post([w = worker.get(), shared, listeners]() mutable {
      w->AddPod(std::move(shared), std::move(listeners));
    });
  }
  for (const auto& worker : workers_) {
    worker->Post([w = worker.get(), shared] { w->Listen(shared.get()); });
  }
}

void EngineImpl::DrainPod(const std::string& uid,
                          std::function<void()> drained) {
  auto all = WhenAllAreDone(std::move(drained));
  for (const auto& worker : workers_) {
    worker->Post([w = worker.get(), uid, part = all]() mutable {
      w->DrainPod(uid, [part = std::move(part)]() mutable { part.reset(); });
    });
  }
}

void EngineImpl::KillPod(const std::string& uid,
                         std::function<void()> removed) {
  auto all = WhenAllAreDone(std::move(removed));
  for (const auto& worker : workers_) {
    worker->Post([w = worker.get(), uid, part = all]() mutable {
      w->KillPod(uid, [part = std::move(part)]() mutable { part.reset(); });
    });
  }
}

void EngineImpl::Drain(absl::Duration deadline,
                       std::function<void()> drained) {
  auto once = std::make_shared<DrainDeadline>(std::move(drained));
  auto all = WhenAllAreDone([once] { once->Fire(); });
  for (const auto& worker : workers_) {
    worker->Post([w = worker.get(), part = all]() mutable {
      w->Drain([part = std::move(part)]() mutable { part.reset(); });
    });
  }
  workers_.front()->Post([w = workers_.front().get(), once, deadline] {
    w->After(deadline, [once] { once->Fire(); });
  });
}

Engine::Load EngineImpl::load() const {
  Load load;
  for (const auto& worker : workers_) {
    load.connections += static_cast<uint64_t>(worker->connections());
    load.tunnels += static_cast<uint64_t>(worker->tunnels());
    load.buffered_bytes += worker->buffered_bytes();
  }
  return load;
}

}  // namespace

base::StatusOr<std::unique_ptr<Engine>> Engine::Start(
    Options options, pki::CredentialStore* credentials,
    observe::FlowSink* flows) {
  auto engine = std::make_unique<EngineImpl>(std::move(options), flows);
  NODEWARD_TRY(engine->StartWorkers(credentials));
  return engine;
}

}  // namespace nodeward::hbone
