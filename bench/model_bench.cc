// SPDX-License-Identifier: Apache-2.0
#include "bench/cluster.h"
#include "benchmark/benchmark.h"
#include "model/snapshot.h"

namespace nodeward::model {
namespace {

// The indexes that every new snapshot makes.
void BM_Finish(benchmark::State& state) {
  Snapshot snapshot = bench::Cluster(state.range(0));
  for (auto _ : state) {
    Snapshot copy;
    copy.workloads = snapshot.workloads;
    copy.services = snapshot.services;
    copy.peer_authentications = snapshot.peer_authentications;
    copy.Finish();
    benchmark::DoNotOptimize(copy);
  }
}
BENCHMARK(BM_Finish)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace nodeward::model
