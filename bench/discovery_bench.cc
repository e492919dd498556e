// SPDX-License-Identifier: Apache-2.0
//
// From manifests on the disk to a snapshot: all of them at start, and the
// change of one pod among them.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "benchmark/benchmark.h"
#include "discovery/source.h"
#include "io/loop.h"

namespace nodeward::discovery {
namespace {

std::string PodYaml(int64_t number, int64_t version) {
  char text[1024];
  std::snprintf(text, sizeof(text),
                "---\napiVersion: v1\nkind: Pod\nmetadata:\n"
                "  name: web-%lld\n  namespace: bench\n  uid: uid-%lld\n"
                "  labels: {app: web, version: v%lld}\n"
                "spec:\n  nodeName: node-%lld\n  serviceAccountName: web\n"
                "  containers:\n  - name: app\n    ports:\n"
                "    - {containerPort: 8080, name: http-web}\n"
                "status:\n  phase: Running\n  podIPs: [{ip: 10.%lld.%lld.%lld}]"
                "\n",
                static_cast<long long>(number), static_cast<long long>(number),
                static_cast<long long>(version),
                static_cast<long long>(number / 100),
                static_cast<long long>(number / 60000),
                static_cast<long long>(number / 250 % 240),
                static_cast<long long>(number % 250 + 2));
  return text;
}

// A directory of manifests with `pods` pods, 500 a file, and one more pod in a
// file of its own; removed at the end.
class Folder {
 public:
  explicit Folder(int64_t pods) : pods_(pods) {
    std::filesystem::create_directories(path());
    std::filesystem::permissions(path(), std::filesystem::perms(0755));
    Write("namespace.yaml",
          "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: bench\n"
          "  labels: {nodeward.io/mesh: enabled}\n");
    for (int64_t first = 0; first < pods; first += 500) {
      std::string text;
      for (int64_t i = first; i < std::min(first + 500, pods); ++i) {
        text += PodYaml(i, 1);
      }
      Write("pods-" + std::to_string(first) + ".yaml", text);
    }
    ChangeOne(0);
  }
  ~Folder() { std::filesystem::remove_all(path().parent_path()); }

  std::filesystem::path path() const {
    return "/tmp/nodeward-discovery-bench-" + std::to_string(getpid()) +
           "/manifests";
  }
  void ChangeOne(int64_t version) {
    Write("one.yaml", PodYaml(pods_, version));
  }

 private:
  void Write(const std::string& name, const std::string& text) {
    std::filesystem::path aside = path().parent_path() / name;
    std::ofstream(aside) << text;
    std::filesystem::rename(aside, path() / name);
  }

  int64_t pods_;
};

std::unique_ptr<Source> Watch(io::Loop& loop, const Folder& folder) {
  ManifestOptions options;
  options.directory = folder.path().string();
  auto source = WatchManifests(loop, std::move(options));
  if (!source.ok()) {
    std::fprintf(stderr, "%s\n", source.status().ToString().c_str());
    std::abort();
  }
  return *std::move(source);
}

void BM_FirstSnapshot(benchmark::State& state) {
  Folder folder(state.range(0));
  for (auto _ : state) {
    auto loop = io::Loop::Create();
    if (!loop.ok()) std::abort();
    std::unique_ptr<Source> source = Watch(**loop, folder);
    size_t workloads = 0;
    if (!source
             ->Start([&workloads](model::SnapshotPtr snapshot) {
               workloads = snapshot->workloads.size();
             })
             .ok() ||
        workloads != static_cast<size_t>(state.range(0)) + 1) {
      state.SkipWithError("workloads are missing");
      return;
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_FirstSnapshot)
    ->Arg(1000)
    ->Arg(10000)
    ->Unit(benchmark::kMillisecond);

// Watches on a thread of its own and tells when a snapshot has come.
class Watching {
 public:
  explicit Watching(const Folder& folder) {
    auto loop = io::Loop::Create();
    if (!loop.ok()) std::abort();
    loop_ = *std::move(loop);
    thread_ = std::thread([this, &folder] {
      std::unique_ptr<Source> source = Watch(*loop_, folder);
      base::Status started = source->Start([this](model::SnapshotPtr) {
        std::lock_guard<std::mutex> lock(mutex_);
        ++snapshots_;
        changed_.notify_all();
      });
      if (!started.ok()) std::abort();
      loop_->Run();
    });
  }
  ~Watching() {
    loop_->Stop();
    thread_.join();
  }

  bool AwaitSnapshot(int64_t number) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60),
                             [&] { return snapshots_ >= number; });
  }

 private:
  std::unique_ptr<io::Loop> loop_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t snapshots_ = 0;
};

void BM_OnePodChanges(benchmark::State& state) {
  Folder folder(state.range(0));
  Watching watching(folder);
  int64_t seen = 1;
  if (!watching.AwaitSnapshot(seen)) state.SkipWithError("no snapshot");
  for (auto _ : state) {
    folder.ChangeOne(seen);
    if (!watching.AwaitSnapshot(++seen)) {
      state.SkipWithError("no new snapshot");
      return;
    }
  }
}
BENCHMARK(BM_OnePodChanges)
    ->Arg(1000)
    ->Arg(10000)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace nodeward::discovery
