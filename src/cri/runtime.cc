// SPDX-License-Identifier: Apache-2.0
#include "cri/runtime.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/text.h"
#include "cri/sandbox_info.h"
#include "nodeward/proto/cri.grpc.pb.h"

namespace nodeward::cri {
namespace {

namespace proto = runtime::v1;

constexpr absl::Duration kOften = absl::Milliseconds(50);
constexpr absl::Duration kSometimes = absl::Seconds(1);
constexpr absl::Duration kSeldom = absl::Seconds(5);
// For so long a pod that is expected is looked for often.
constexpr absl::Duration kEager = absl::Seconds(30);
constexpr std::chrono::seconds kDeadline(5);

void AddAddress(const std::string& text, std::vector<base::IpAddress>* ips) {
  const auto ip = base::IpAddress::Parse(text);
  if (ip.ok()) ips->push_back(*ip);
}

base::Status Failure(const grpc::Status& status) {
  return absl::UnavailableError(status.error_message());
}

class Runtime final : public SandboxSource {
 public:
  Runtime(io::Loop& loop, std::string address)
      : loop_(loop), address_(std::move(address)) {}

  ~Runtime() override {
    {
      base::MutexLock lock(&mutex_);
      ending_ = true;
      if (current_ != nullptr) current_->TryCancel();
    }
    if (thread_.joinable()) thread_.join();
  }

  void Start(std::function<void(const Sandboxes&)> changed) override {
    changed_ = std::move(changed);
    thread_ = std::thread([this] { Run(); });
  }

  void Expect(std::set<std::string> pods) override {
    base::MutexLock lock(&mutex_);
    const bool grown = !std::includes(expected_.begin(), expected_.end(),
                                      pods.begin(), pods.end());
    expected_ = std::move(pods);
    if (grown) {
      eager_until_ = absl::Now() + kEager;
      hurry_ = true;
    }
  }

  std::string problem() const override { return problem_; }

 private:
  struct Known {
    std::string id;  // of the sandbox
    Sandbox sandbox;
  };

  void Run();
  base::Status Look();
  base::Status Read(const std::string& id, Sandbox* sandbox);
  // False: this is ending, nothing was asked.
  bool Begin(grpc::ClientContext* context);
  void End();
  void Tell(const base::Status& status);
  // Sleeps until it is time for another look; false: this is ending.
  bool Wait();
  bool LacksExpected() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  io::Loop& loop_;
  const std::string address_;
  std::function<void(const Sandboxes&)> changed_;
  std::string problem_;  // of the loop's thread

  mutable base::Mutex mutex_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool hurry_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> expected_ ABSL_GUARDED_BY(mutex_);
  absl::Time eager_until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::set<std::string> found_ ABSL_GUARDED_BY(mutex_);
  grpc::ClientContext* current_ ABSL_GUARDED_BY(mutex_) = nullptr;

  // Of the thread.
  std::unique_ptr<proto::RuntimeService::Stub> stub_;
  std::map<std::string, Known> known_;  // by the pod's UID
  bool told_ = false;
  std::string told_problem_;
  std::thread thread_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

void Runtime::Run() {
  grpc::ChannelArguments arguments;
  // A runtime that restarts is found again at once.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // No proxy of the environment stands between us and a socket of the node.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(16 << 20);
  stub_ = proto::RuntimeService::NewStub(grpc::CreateCustomChannel(
      address_, grpc::InsecureChannelCredentials(), arguments));
  do {
    Tell(Look());
  } while (Wait());
}

bool Runtime::Begin(grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() + kDeadline);
  base::MutexLock lock(&mutex_);
  if (ending_) return false;
  current_ = context;
  return true;
}

void Runtime::End() {
  base::MutexLock lock(&mutex_);
  current_ = nullptr;
}

base::Status Runtime::Look() {
  grpc::ClientContext context;
  proto::ListPodSandboxRequest request;
  request.mutable_filter()->mutable_state()->set_state(proto::SANDBOX_READY);
  proto::ListPodSandboxResponse response;
  if (!Begin(&context)) return base::OkStatus();
  const grpc::Status listed =
      stub_->ListPodSandbox(&context, request, &response);
  End();
  if (!listed.ok()) return Failure(listed);
  // Of several of one pod the youngest counts: the others are being removed.
  std::map<std::string, const proto::PodSandbox*> live;
  for (const proto::PodSandbox& item : response.items()) {
    if (item.state() != proto::SANDBOX_READY) continue;
    const proto::PodSandbox*& youngest = live[item.metadata().uid()];
    if (youngest == nullptr || youngest->created_at() < item.created_at()) {
      youngest = &item;
    }
  }
  std::erase_if(known_, [&](const auto& entry) {
    const auto found = live.find(entry.first);
    const bool stays =
        found != live.end() && found->second->id() == entry.second.id;
    if (!stays) told_ = false;
    return !stays;
  });
  base::Status worst;
  for (const auto& [uid, item] : live) {
    if (uid.empty() || known_.contains(uid)) continue;
    Known fresh{item->id(), {}};
    const base::Status read = Read(item->id(), &fresh.sandbox);
    if (!read.ok()) {
      worst.Update(base::Annotate(
          read, base::StrCat("pod ", item->metadata().namespace_(), "/",
                             item->metadata().name())));
      continue;
    }
    known_.emplace(uid, std::move(fresh));
    told_ = false;
  }
  return worst;
}

base::Status Runtime::Read(const std::string& id, Sandbox* sandbox) {
  grpc::ClientContext context;
  proto::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  request.set_verbose(true);
  proto::PodSandboxStatusResponse response;
  if (!Begin(&context)) return base::OkStatus();
  const grpc::Status asked =
      stub_->PodSandboxStatus(&context, request, &response);
  End();
  if (!asked.ok()) return Failure(asked);
  const auto info = response.info().find("info");
  if (info == response.info().end()) {
    return absl::InvalidArgumentError(
        "read sandbox: the runtime gives no verbose status");
  }
  NODEWARD_ASSIGN(sandbox->netns, NetnsOfInfo(info->second));
  const auto& network = response.status().network();
  AddAddress(network.ip(), &sandbox->ips);
  for (const auto& more : network.additional_ips()) {
    AddAddress(more.ip(), &sandbox->ips);
  }
  return base::OkStatus();
}

void Runtime::Tell(const base::Status& status) {
  std::string problem =
      status.ok()
          ? std::string()
          : base::StrCat("container runtime at ", address_, ": ",
                         base::FromAbsl(status.message()),
                         "; what is known of its sandboxes stays in use");
  if (told_ && problem == told_problem_) return;
  if (problem != told_problem_ && !problem.empty()) {
    base::LogWarn("cannot learn the pods' network namespaces",
                  {{"problem", problem}});
  }
  told_problem_ = problem;
  // Nothing learnt is not the same as no sandboxes.
  const bool news =
      !std::exchange(told_, true) && (status.ok() || !known_.empty());
  Sandboxes all;
  for (const auto& [uid, known] : known_) {
    if (!known.sandbox.netns.empty()) all.emplace(uid, known.sandbox);
  }
  {
    base::MutexLock lock(&mutex_);
    found_.clear();
    for (const auto& [uid, known] : known_) found_.insert(uid);
  }
  loop_.Post([this, alive = std::weak_ptr<bool>(alive_), news,
              all = std::move(all), problem = std::move(problem)] {
    if (alive.expired()) return;
    problem_ = problem;
    if (news) changed_(all);
  });
}

bool Runtime::LacksExpected() const {
  return !std::includes(found_.begin(), found_.end(), expected_.begin(),
                        expected_.end());
}

bool Runtime::Wait() {
  base::MutexLock lock(&mutex_);
  const absl::Time now = absl::Now();
  const absl::Duration pause = !LacksExpected()     ? kSeldom
                               : now < eager_until_ ? kOften
                                                    : kSometimes;
  const auto woken = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return ending_ || hurry_;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&woken), pause);
  // However many pods come, not more often than this.
  if (std::exchange(hurry_, false) && !ending_) {
    const auto ended = [this]()
                           ABSL_NO_THREAD_SAFETY_ANALYSIS { return ending_; };
    mutex_.AwaitWithTimeout(absl::Condition(&ended), kOften / 5);
  }
  return !ending_;
}

}  // namespace

std::unique_ptr<SandboxSource> AskRuntime(io::Loop& loop,
                                          const std::string& address) {
  return std::make_unique<Runtime>(loop, address);
}

}  // namespace nodeward::cri
