// SPDX-License-Identifier: Apache-2.0
//
// What one certificate costs: all that the service does for a request but the
// transport. Goal: 1000 a second on one core with P-256.
#include <benchmark/benchmark.h>

#include "absl/time/clock.h"
#include "base/log.h"
#include "ca/service.h"
#include "pki/csr.h"
#include "pki/signer.h"

namespace nodeward::ca {
namespace {

class AnyToken final : public Authenticator {
 public:
  base::StatusOr<Caller> Authenticate(const std::string&) override {
    return Caller{"mesh", "app", "", "", ""};
  }
  std::string Description() const override { return "any"; }
};

void BM_Certificate(benchmark::State& state) {
  // Its line goes to a log that shows warnings only.
  base::ConfigureLog(base::LogLevel::kWarn, base::LogFormat::kText);
  const absl::Time now = absl::Now();
  const pki::Validity validity{now - absl::Minutes(1), now + absl::Hours(900)};
  pki::Root root = *pki::MakeRoot("cluster.local", validity);
  pki::Root issuer =
      *pki::MakeIntermediate(root, "cluster.local", "i", validity);
  const auto authority =
      *pki::Authority::Create({.certificates = {issuer.certificate},
                               .key = std::move(issuer.key),
                               .roots = {root.certificate},
                               .source = "",
                               .warnings = {}},
                              "cluster.local", now);
  AnyToken authenticator;
  const Authorizer authorizer({"cluster.local", {}});
  observe::CaMetrics metrics("bench");
  Service service(
      {.per_caller = {.rate = 1e9, .burst = 1e9},
       .per_address = {.rate = 1e9, .burst = 1e9}},
      [&authority] { return authority; }, &authenticator, &authorizer,
      &metrics);
  const pki::PrivateKey key = *pki::PrivateKey::GenerateP256();
  const Request request{
      .csr = *pki::MakeCsr(key, {"cluster.local", "mesh", "app"}),
      .lifetime = absl::ZeroDuration(),
      .impersonated = "",
      .token = "t",
      .peer = "10.0.0.1"};
  for (auto _ : state) {
    const auto chain = service.Create(request);
    if (!chain.ok()) {
      state.SkipWithError(std::string(chain.status().message()).c_str());
      break;
    }
    benchmark::DoNotOptimize(chain);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Certificate);

}  // namespace
}  // namespace nodeward::ca
