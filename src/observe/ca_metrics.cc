// SPDX-License-Identifier: Apache-2.0
//
// As in metrics.cc: names are constants, so nothing of prometheus-cpp throws.
#include "observe/ca_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/mutex.h"

namespace nodeward::observe {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

Family<Gauge>& GaugeOf(prometheus::Registry& registry, const char* name,
                       const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

Family<Counter>& CounterOf(prometheus::Registry& registry, const char* name,
                           const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

const Histogram::BucketBoundaries& Buckets() {
  static const auto* const kBuckets = new Histogram::BucketBoundaries{
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5};
  return *kBuckets;
}

}  // namespace

struct CaMetrics::State {
  prometheus::Registry registry;
  Family<Counter>& requests =
      CounterOf(registry, "nodeward_ca_requests_total",
                "Requests for a certificate, by the gRPC code of the answer");
  Histogram& seconds =
      prometheus::BuildHistogram()
          .Name("nodeward_ca_request_seconds")
          .Help("Time from a request for a certificate to the answer")
          .Register(registry)
          .Add({}, Buckets());
  Family<Counter>& events = CounterOf(registry, "nodeward_ca_events_total",
                                      "What befell the issuer, by reason");
  Gauge& issuer =
      GaugeOf(registry, "nodeward_ca_issuer_expiry_timestamp_seconds",
              "When the issuer, or a certificate above it, expires")
          .Add({});
  // Linkerd's name, which dashboards and alerts of its users query.
  Gauge& ttl = GaugeOf(registry, "issuer_cert_ttl_seconds",
                       "Time until the issuer's chain expires")
                   .Add({});
  Gauge& serving =
      GaugeOf(registry, "nodeward_ca_serving_expiry_timestamp_seconds",
              "When the certificate of the CA's own port expires")
          .Add({});
  base::Mutex mutex;
  absl::Time issuer_not_after ABSL_GUARDED_BY(mutex) = absl::InfinitePast();
};

CaMetrics::CaMetrics(const std::string& version)
    : state_(std::make_unique<State>()) {
  GaugeOf(state_->registry, "nodeward_build_info", "Version of the program")
      .Add({{"version", version}})
      .Set(1);
}

CaMetrics::~CaMetrics() = default;

void CaMetrics::Answered(const std::string& code, absl::Duration took) {
  state_->requests.Add({{"code", code}}).Increment();
  state_->seconds.Observe(absl::ToDoubleSeconds(took));
}

void CaMetrics::Happened(const std::string& reason) {
  state_->events.Add({{"reason", reason}}).Increment();
}

void CaMetrics::SetIssuer(absl::Time not_after) {
  state_->issuer.Set(static_cast<double>(absl::ToUnixSeconds(not_after)));
  base::MutexLock lock(&state_->mutex);
  state_->issuer_not_after = not_after;
}

void CaMetrics::SetServing(absl::Time not_after) {
  state_->serving.Set(static_cast<double>(absl::ToUnixSeconds(not_after)));
}

std::string CaMetrics::Text(absl::Time now) const {
  {
    base::MutexLock lock(&state_->mutex);
    state_->ttl.Set(absl::ToDoubleSeconds(state_->issuer_not_after - now));
  }
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace nodeward::observe
