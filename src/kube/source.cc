// SPDX-License-Identifier: Apache-2.0
#include "kube/source.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "kube/account_token.h"
#include "kube/daemonset.h"
#include "kube/file_watches.h"
#include "kube/marks.h"
#include "kube/mirror.h"
#include "kube/namespaces.h"
#include "kube/node_taint.h"
#include "kube/resource_watch.h"

namespace nodeward::kube {
namespace {

// A burst of changes makes one snapshot. The larger the cluster, the longer one
// takes to make; most of the time the loop is for others. What comes after a
// while of quiet has its snapshot at once.
constexpr absl::Duration kSettle = absl::Milliseconds(10);
constexpr absl::Duration kLongestSettle = absl::Seconds(2);
constexpr int kShare = 4;
constexpr absl::Duration kMarkInterval = absl::Seconds(1);
constexpr absl::Duration kMarkPatience = absl::Seconds(5);

class Kubernetes final : public Source {
 public:
  Kubernetes(io::Loop& loop, Options options,
             std::unique_ptr<HttpClient> client,
             std::unique_ptr<cri::SandboxSource> sandboxes)
      : loop_(loop),
        client_(std::move(client)),
        mirror_(std::move(options.reading), options.node),
        sandboxes_(std::move(sandboxes)),
        marks_(client_.get(), [this] { return Random(); }),
        daemonset_(loop, client_.get(), options.daemonset),
        taint_(loop, client_.get(), options.node, options.taint,
               [this] { return Random(); }),
        files_(
            loop, client_.get(), &mirror_, [this] { return Random(); },
            [this] { OnChange(); }),
        settle_(loop, [this] { Tell(); }),
        tick_(loop, [this] { Tick(); }) {
    for (auto& [resource, sink] : mirror_.Wanted()) {
      if (resource.kind == "Namespace") {
        namespaces_ = std::make_unique<kube::Namespaces>(sink);
        sink = namespaces_.get();
      }
      watches_.push_back(std::make_unique<ResourceWatch>(
          loop, client_.get(), std::move(resource), sink,
          [this] { return Random(); }, [this] { OnChange(); },
          [this] {
            for (const auto& watch : watches_) watch->Hurry();
          }));
    }
  }

  base::Status Start(std::function<void(model::SnapshotPtr)> changed) override {
    changed_ = std::move(changed);
    sandboxes_->Start([this](const cri::Sandboxes& all) {
      mirror_.SetSandboxes(all);
      OnChange();
    });
    for (const auto& watch : watches_) watch->Start();
    daemonset_.Watch([this] { return Random(); });
    taint_.Watch();
    tick_.Set(kMarkInterval);
    return base::OkStatus();
  }

  std::vector<model::Problem> problems() const override;
  void SetEnrolled(const std::map<std::string, bool>& pods) override {
    enrolled_ = pods;
    marks_.Update(mirror_.own_pods(), enrolled_);
  }
  void WantFiles(const std::set<model::FileSetKey>& wanted) override {
    files_.Want(wanted);
  }
  void SetReady(bool ready) override { taint_.SetReady(ready); }
  void IsUninstalled(std::function<void(bool)> done) override {
    daemonset_.IsDeleted(std::move(done));
  }
  void RemoveMarks(std::function<void()> done) override {
    removed_ = std::move(done);
    remove_until_ = absl::Now() + kMarkPatience;
    Tick();
  }
  void LookUp(const std::string& name_space, const std::string& pod,
              std::function<void(PodObjects)> done) override {
    LookUpPod(client_.get(), name_space, pod, std::move(done));
  }
  std::map<std::string, bool> Namespaces() const override {
    return namespaces_->opted_in();
  }
  void KeepToken(const std::string& account,
                 std::function<void(const std::string&)> renewed) override {
    token_ = std::make_unique<AccountToken>(
        loop_, client_.get(), account, [this] { return Random(); },
        std::move(renewed));
  }

 private:
  double Random() {
    return std::uniform_real_distribution<double>(0, 1)(random_);
  }
  bool IsSynced() const {
    return std::all_of(watches_.begin(), watches_.end(), [](const auto& each) {
      return each->state().synced() || each->state().resource().advisory;
    });
  }
  void OnChange();
  void Tell();
  void Tick();
  void LogProblems();

  std::mt19937_64 random_{std::random_device()()};
  io::Loop& loop_;
  std::unique_ptr<HttpClient> client_;
  Mirror mirror_;
  std::unique_ptr<kube::Namespaces> namespaces_;
  std::unique_ptr<cri::SandboxSource> sandboxes_;
  Marks marks_;
  DaemonSet daemonset_;
  std::unique_ptr<AccountToken> token_;
  NodeTaint taint_;
  FileWatches files_;
  std::vector<std::unique_ptr<ResourceWatch>> watches_;
  std::function<void(model::SnapshotPtr)> changed_;
  bool synced_ = false;
  absl::Duration cost_;                     // of the last snapshot
  absl::Time told_ = absl::InfinitePast();  // when it was made
  io::Timer settle_;
  io::Timer tick_;
  std::map<std::string, bool> enrolled_;
  std::function<void()> removed_;
  absl::Time remove_until_;
  std::string logged_;  // the problem that the log had last
};

std::vector<model::Problem> Kubernetes::problems() const {
  std::vector<model::Problem> all;
  const auto add = [&](const std::string& reason) {
    if (!reason.empty()) {
      all.push_back({"Kubernetes API", 0, "", reason, false, false});
    }
  };
  for (const auto& watch : watches_) {
    const Reflector& state = watch->state();
    if (!state.problem().empty()) {
      add(base::StrCat(state.problem(), state.synced()
                                            ? "; what was told before stays in "
                                              "force"
                                            : ""));
    } else if (!state.synced()) {
      add(base::StrCat("not all of ", state.resource().paths.front(),
                       " has been told yet"));
    }
  }
  for (const std::string& problem : files_.problems()) add(problem);
  add(marks_.problem());
  if (token_ != nullptr) add(token_->problem());
  add(taint_.problem());
  if (!sandboxes_->problem().empty()) {
    all.push_back({"", 0, "", sandboxes_->problem(), false, false});
  }
  return all;
}

void Kubernetes::OnChange() {
  if (!synced_) {
    if (!IsSynced()) return;
    synced_ = true;
    base::LogInfo("everything in the Kubernetes API has been told",
                  {{"server", client_->server()}});
  }
  if (!mirror_.changed() || settle_.pending()) return;
  const absl::Duration since = absl::Now() - told_;
  settle_.Set(std::clamp(kShare * cost_ - since, kSettle, kLongestSettle));
}

void Kubernetes::Tell() {
  const absl::Time start = absl::Now();
  sandboxes_->Expect(mirror_.SandboxedPods());
  changed_(mirror_.Build());
  told_ = absl::Now();
  cost_ = told_ - start;
  marks_.Update(mirror_.own_pods(), enrolled_);
}

void Kubernetes::Tick() {
  LogProblems();
  if (removed_ != nullptr) {
    for (const auto& [uid, pod] : mirror_.own_pods()) enrolled_[uid] = false;
  }
  marks_.Update(mirror_.own_pods(), enrolled_);
  if (removed_ != nullptr && (marks_.idle() || absl::Now() > remove_until_)) {
    std::exchange(removed_, nullptr)();
    return;
  }
  tick_.Set(removed_ != nullptr ? kMarkInterval / 20 : kMarkInterval);
}

void Kubernetes::LogProblems() {
  // status has them all; for the log the first will do.
  const auto all = problems();
  const std::string text = all.empty() ? "" : all.front().ToString();
  if (text == logged_) return;
  if (text.empty()) {
    base::LogInfo("the Kubernetes API is followed again", {});
  } else {
    base::LogWarn("the Kubernetes API is not followed as it should be",
                  {{"problem", text}, {"problems", base::StrCat(all.size())}});
  }
  logged_ = text;
}

}  // namespace

base::StatusOr<std::unique_ptr<Source>> FollowKubernetes(
    io::Loop& loop, Options options,
    std::unique_ptr<cri::SandboxSource> sandboxes) {
  NODEWARD_ASSIGN(auto client, HttpClient::Create(loop, options.api));
  return std::unique_ptr<Source>(std::make_unique<Kubernetes>(
      loop, std::move(options), std::move(client), std::move(sandboxes)));
}

}  // namespace nodeward::kube
