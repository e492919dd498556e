// SPDX-License-Identifier: Apache-2.0
//
// The decisions that stand before every connection, with the given number of
// workloads in the snapshot.
#include <cstdint>

#include "bench/cluster.h"
#include "benchmark/benchmark.h"
#include "model/snapshot.h"
#include "policy/destination.h"
#include "policy/verdict.h"

namespace nodeward::policy {
namespace {

using bench::kPort;
using bench::PodIp;
using bench::ServiceIp;

void BM_Admit(benchmark::State& state) {
  model::Snapshot snapshot = bench::Cluster(state.range(0));
  const model::Workload& workload = *snapshot.workloads.back();
  Connection connection{PodIp(0), snapshot.workloads.front()->identity, kPort};
  for (auto _ : state) {
    benchmark::DoNotOptimize(Admit(snapshot, workload, connection));
  }
}
BENCHMARK(BM_Admit)->Arg(1000)->Arg(10000);

void BM_RouteToPod(benchmark::State& state) {
  model::Snapshot snapshot = bench::Cluster(state.range(0));
  base::Endpoint destination{PodIp(state.range(0) / 2), kPort};
  for (auto _ : state) {
    benchmark::DoNotOptimize(RouteTo(snapshot, destination, false, 7));
  }
}
BENCHMARK(BM_RouteToPod)->Arg(1000)->Arg(10000);

void BM_RouteToService(benchmark::State& state) {
  model::Snapshot snapshot = bench::Cluster(state.range(0));
  base::Endpoint destination{ServiceIp(state.range(0) / 20), 80};
  uint64_t pick = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(RouteTo(snapshot, destination, false, ++pick));
  }
}
BENCHMARK(BM_RouteToService)->Arg(1000)->Arg(10000);

void BM_RouteOutside(benchmark::State& state) {
  model::Snapshot snapshot = bench::Cluster(state.range(0));
  base::Endpoint destination{*base::IpAddress::Parse("192.0.2.1"), 443};
  for (auto _ : state) {
    benchmark::DoNotOptimize(RouteTo(snapshot, destination, false, 7));
  }
}
BENCHMARK(BM_RouteOutside)->Arg(10000);

}  // namespace
}  // namespace nodeward::policy
