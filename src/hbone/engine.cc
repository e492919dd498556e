// SPDX-License-Identifier: Apache-2.0
#include "hbone/engine.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "hbone/mesh_view.h"
#include "hbone/pod.h"
#include "hbone/worker.h"

namespace nodeward::hbone {
namespace {

// Calls `done` on the thread of the last worker that has done its part, never
// on the caller's own.
class Countdown {
 public:
  Countdown(size_t parts, std::function<void()> done)
      : left_(parts), done_(std::move(done)) {}
  void Arrive() {
    if (left_.fetch_sub(1) == 1 && done_ != nullptr) done_();
  }

 private:
  std::atomic<size_t> left_;
  const std::function<void()> done_;
};

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
  void SetClientMaterials(
      std::shared_ptr<const pki::ClientMaterials> materials) override {
    materials_ = std::move(materials);
  }
  void CredentialsChanged() override;
  void AddPod(LocalPod pod) override;
  PodListeners DuplicateListeners(const std::string& uid) override;
  void StopListening() override;
  void DrainPod(const std::string& uid, std::function<void()> drained) override;
  void KillPod(const std::string& uid, std::function<void()> removed) override;
  void Drain(absl::Duration deadline, std::function<void()> drained) override;
  Load load() const override;

 private:
  const Options options_;
  observe::FlowSink* const flows_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::shared_ptr<const pki::ClientMaterials> materials_;
  std::shared_ptr<const MeshView> mesh_;  // SetSnapshot's latest
  // By pod; the workers own them and let go of them.
  absl::flat_hash_map<std::string, std::weak_ptr<PodListeners>> listeners_;
};

EngineImpl::~EngineImpl() {
  for (const auto& worker : workers_) worker->Stop();
}

base::Status EngineImpl::StartWorkers(const pki::CredentialStore* credentials) {
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
  auto mesh = std::make_shared<const MeshView>(std::move(snapshot), mesh_.get(),
                                               materials_);
  mesh_ = mesh;
  auto all = std::make_shared<Countdown>(workers_.size(), std::move(done));
  for (const auto& worker : workers_) {
    worker->Post([w = worker.get(), mesh, all] {
      w->SetMesh(mesh);
      all->Arrive();
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
  absl::erase_if(listeners_, [](const auto& e) { return e.second.expired(); });
  listeners_[shared->uid] = listeners;
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

PodListeners EngineImpl::DuplicateListeners(const std::string& uid) {
  PodListeners twice;
  const auto found = listeners_.find(uid);
  const auto once = found == listeners_.end() ? nullptr : found->second.lock();
  if (once == nullptr) return twice;
  for (const auto& [from, to] : {std::pair(&once->outbound4, &twice.outbound4),
                                 std::pair(&once->outbound6, &twice.outbound6),
                                 std::pair(&once->inbound4, &twice.inbound4),
                                 std::pair(&once->inbound6, &twice.inbound6),
                                 std::pair(&once->hbone, &twice.hbone)}) {
    if (from->valid()) to->Reset(fcntl(from->get(), F_DUPFD_CLOEXEC, 0));
  }
  return twice;
}

void EngineImpl::StopListening() {
  for (const auto& worker : workers_) {
    worker->Post([w = worker.get()] { w->StopListening(); });
  }
}

void EngineImpl::DrainPod(const std::string& uid,
                          std::function<void()> drained) {
  auto all = std::make_shared<Countdown>(workers_.size(), std::move(drained));
  for (const auto& worker : workers_) {
    worker->Post([w = worker.get(), uid, all] {
      w->DrainPod(uid, [all] { all->Arrive(); });
    });
  }
}

void EngineImpl::KillPod(const std::string& uid,
                         std::function<void()> removed) {
  auto all = std::make_shared<Countdown>(workers_.size(), std::move(removed));
  for (const auto& worker : workers_) {
    worker->Post([w = worker.get(), uid, all] {
      w->KillPod(uid);
      all->Arrive();
    });
  }
}

void EngineImpl::Drain(absl::Duration deadline, std::function<void()> drained) {
  auto once = std::make_shared<DrainDeadline>(std::move(drained));
  auto all =
      std::make_shared<Countdown>(workers_.size(), [once] { once->Fire(); });
  for (const auto& worker : workers_) {
    worker->Post(
        [w = worker.get(), all] { w->Drain([all] { all->Arrive(); }); });
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
