// SPDX-License-Identifier: Apache-2.0
//
// The decisions that stand before every connection, with the given number of
// workloads in the snapshot.
#include <cstdint>
#include <memory>
#include <string>

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

// One policy of `rules` rules, of which the last holds: two principals and a
// port each.
std::shared_ptr<const model::AuthorizationPolicy> Policy(
    const std::string& name, const std::string& name_space, int64_t rules,
    const model::Identity& caller) {
  auto policy = std::make_shared<model::AuthorizationPolicy>();
  policy->name = name;
  policy->name_space = name_space;
  for (int64_t i = 0; i < rules; ++i) {
    model::AuthorizationRule rule;
    const std::string other =
        "cluster.local/ns/" + name_space + "/sa/caller-" + std::to_string(i);
    const std::string last =
        i + 1 == rules ? caller.ToPrincipal() : other + "-too";
    rule.from = {{{model::Attribute::kPrincipal, "", {other, last}, {}}}};
    rule.to = {{{model::Attribute::kPort, "", {std::to_string(kPort)}, {}}}};
    policy->rules.push_back(std::move(rule));
  }
  return policy;
}

// A stream of bytes to a workload with that many rules.
void BM_Decide(benchmark::State& state) {
  model::Snapshot snapshot = bench::Cluster(1000);
  const model::Workload& workload = *snapshot.workloads.back();
  const model::Identity caller = snapshot.workloads.front()->identity;
  snapshot.authorization_policies = {
      Policy("allow", workload.name_space, state.range(0), caller)};
  snapshot.Finish();
  const auto policy = Rulebook(snapshot).For(workload);
  const Connection connection{PodIp(0), caller, kPort};
  for (auto _ : state) {
    Verdict verdict = policy->Decide(connection);
    if (!verdict.allow) state.SkipWithError("denied");
    benchmark::DoNotOptimize(verdict);
  }
}
BENCHMARK(BM_Decide)->Arg(10)->Arg(100)->Arg(1000);

model::Snapshot ManyPolicies(int64_t policies) {
  model::Snapshot snapshot = bench::Cluster(1000);
  for (int64_t i = 0; i < policies; ++i) {
    const model::Workload& of = *snapshot.workloads[i % 1000];
    snapshot.authorization_policies.push_back(
        Policy("policy-" + std::to_string(i), of.name_space, 10, of.identity));
  }
  snapshot.Finish();
  return snapshot;
}

// All policies of the cluster made ready, ten rules each.
void BM_Compile(benchmark::State& state) {
  const model::Snapshot snapshot = ManyPolicies(state.range(0));
  for (auto _ : state) {
    const Rulebook rulebook(snapshot);
    benchmark::DoNotOptimize(&rulebook);
  }
}
BENCHMARK(BM_Compile)->Arg(10000)->Unit(benchmark::kMillisecond);

// The same when nothing of them has changed since the last snapshot.
void BM_CompileAgain(benchmark::State& state) {
  const model::Snapshot snapshot = ManyPolicies(state.range(0));
  const Rulebook previous(snapshot);
  for (auto _ : state) {
    const Rulebook rulebook(snapshot, &previous);
    benchmark::DoNotOptimize(&rulebook);
  }
}
BENCHMARK(BM_CompileAgain)->Arg(10000)->Unit(benchmark::kMillisecond);

// What concerns one pod, of all.
void BM_ForWorkload(benchmark::State& state) {
  const model::Snapshot snapshot = ManyPolicies(state.range(0));
  const Rulebook rulebook(snapshot);
  for (auto _ : state) {
    benchmark::DoNotOptimize(rulebook.For(*snapshot.workloads.back()));
  }
}
BENCHMARK(BM_ForWorkload)->Arg(10000)->Unit(benchmark::kMicrosecond);

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
