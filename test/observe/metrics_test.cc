// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "observe/flow_fixture.h"

namespace nodeward::observe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Sample {
  std::map<std::string, std::string> labels;
  double value = 0;
};

// The samples of `family`, parsed from the text format.
std::vector<Sample> Samples(const Metrics& metrics, const std::string& family) {
  std::vector<Sample> samples;
  std::istringstream text(metrics.Text());
  for (std::string line; std::getline(text, line);) {
    if (line.rfind(family, 0) != 0) continue;
    size_t at = family.size();
    if (line[at] != '{' && line[at] != ' ') continue;
    Sample sample;
    if (line[at] == '{') {
      ++at;
      while (line[at] != '}') {
        const size_t equals = line.find('=', at);
        const size_t end = line.find('"', equals + 2);
        sample.labels[line.substr(at, equals - at)] =
            line.substr(equals + 2, end - equals - 2);
        at = end + 1;
        if (line[at] == ',') ++at;
      }
      ++at;
    }
    sample.value = std::stod(line.substr(at));
    samples.push_back(std::move(sample));
  }
  return samples;
}

double Total(const Metrics& metrics, const std::string& family) {
  double total = 0;
  for (const Sample& sample : Samples(metrics, family)) total += sample.value;
  return total;
}

void OpenAndClose(Metrics& metrics, Flow flow) {
  const Outcome outcome = flow.outcome;
  flow.outcome = Outcome::kOpen;
  metrics.Opened(flow);
  flow.outcome = outcome;
  metrics.Closed(flow, true);
}

class MetricsTest : public ::testing::Test {
 protected:
  Metrics metrics_{{.version = "1.2.3"}};
  std::shared_ptr<const model::Workload> sleep_ = MakeWorkload("full", "sleep");
  std::shared_ptr<const model::Workload> httpbin_ =
      MakeWorkload("mtls-test", "httpbin");
};

TEST_F(MetricsTest, AConnectionHasIstiosLabels) {
  Flow flow = MakeFlow(1, Reporter::kDestination, sleep_, httpbin_);
  auto service = std::make_shared<model::Service>();
  service->name = "httpbin";
  service->name_space = "mtls-test";
  flow.service = service;
  OpenAndClose(metrics_, flow);
  const auto samples = Samples(metrics_, "istio_tcp_connections_closed_total");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].value, 1);
  const std::map<std::string, std::string> wanted = {
      {"reporter", "destination"},
      {"source_workload", "sleep"},
      {"source_workload_namespace", "full"},
      {"source_principal", "spiffe://cluster.local/ns/full/sa/sleep"},
      {"source_app", "sleep"},
      {"source_version", "v1"},
      {"source_canonical_service", "sleep"},
      {"source_canonical_revision", "v1"},
      {"source_cluster", "Kubernetes"},
      {"destination_workload", "httpbin"},
      {"destination_workload_namespace", "mtls-test"},
      {"destination_principal",
       "spiffe://cluster.local/ns/mtls-test/sa/httpbin"},
      {"destination_app", "httpbin"},
      {"destination_version", "v1"},
      {"destination_canonical_service", "httpbin"},
      {"destination_canonical_revision", "v1"},
      {"destination_cluster", "Kubernetes"},
      {"destination_service", "httpbin.mtls-test.svc.cluster.local"},
      {"destination_service_name", "httpbin"},
      {"destination_service_namespace", "mtls-test"},
      {"request_protocol", "tcp"},
      {"response_flags", "-"},
      {"connection_security_policy", "mutual_tls"}};
  EXPECT_EQ(samples[0].labels, wanted);
  EXPECT_EQ(Total(metrics_, "istio_tcp_connections_opened_total"), 1);
  // From the server's side: the request was received, the response sent.
  EXPECT_EQ(Total(metrics_, "istio_tcp_received_bytes_total"), 78);
  EXPECT_EQ(Total(metrics_, "istio_tcp_sent_bytes_total"), 512);
  EXPECT_EQ(Total(metrics_, "istio_tcp_connections_failed_total"), 0);
}

TEST_F(MetricsTest, UnknownEndsSayUnknown) {
  OpenAndClose(metrics_, MakePlaintext(1, nullptr, httpbin_));
  const auto samples = Samples(metrics_, "istio_tcp_connections_opened_total");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].labels.at("source_workload"), "unknown");
  EXPECT_EQ(samples[0].labels.at("source_principal"), "unknown");
  EXPECT_EQ(samples[0].labels.at("source_cluster"), "unknown");
  EXPECT_EQ(samples[0].labels.at("destination_service"), "unknown");
  EXPECT_EQ(samples[0].labels.at("connection_security_policy"), "none");
}

TEST_F(MetricsTest, ARefusalIsCountedByReasonAndAsFailed) {
  Flow flow = MakePlaintext(1, sleep_, httpbin_);
  flow.outcome = Outcome::kDeniedPlaintext;
  metrics_.Closed(flow, false);
  const auto refused = Samples(metrics_, "nodeward_connections_refused_total");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].labels.at("reason"), "denied_plaintext");
  EXPECT_EQ(refused[0].labels.at("reporter"), "destination");
  const auto failed = Samples(metrics_, "istio_tcp_connections_failed_total");
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].labels.at("response_flags"), "DENY");
  EXPECT_EQ(Total(metrics_, "istio_tcp_connections_closed_total"), 0);
}

TEST_F(MetricsTest, ARefusedRequestIsNoConnection) {
  Flow flow = MakePlaintext(1, sleep_, httpbin_);
  for (const Outcome outcome :
       {Outcome::kDeniedRequest, Outcome::kDeniedRequest,
        Outcome::kBadRequest}) {
    flow.outcome = outcome;
    metrics_.Closed(flow, false);
  }
  EXPECT_EQ(Total(metrics_, "nodeward_http_requests_refused_total"), 3);
  EXPECT_EQ(Total(metrics_, "nodeward_connections_refused_total"), 0);
  EXPECT_EQ(Total(metrics_, "istio_tcp_connections_failed_total"), 0);
}

TEST_F(MetricsTest, EqualLabelsShareASeries) {
  for (uint64_t id = 0; id < 5; ++id) {
    OpenAndClose(metrics_, MakeFlow(id, Reporter::kSource, sleep_, httpbin_));
  }
  const auto samples = Samples(metrics_, "istio_tcp_connections_closed_total");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].value, 5);
}

TEST_F(MetricsTest, SeriesOfGoneWorkloadsAreDroppedAndStayAway) {
  const auto other = MakeWorkload("mtls-test", "other");
  const Flow to_httpbin = MakeFlow(1, Reporter::kSource, sleep_, httpbin_);
  const Flow to_other = MakeFlow(2, Reporter::kSource, sleep_, other);
  OpenAndClose(metrics_, to_httpbin);
  OpenAndClose(metrics_, to_other);
  metrics_.Opened(to_httpbin);
  OpenAndClose(metrics_, MakePlaintext(3, nullptr, other));

  model::Snapshot snapshot;
  snapshot.workloads = {sleep_, other};
  metrics_.DropWorkloads(snapshot);
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("httpbin")));
  // The end of a connection that the pod left behind.
  metrics_.Closed(to_httpbin, true);
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("httpbin")));
  EXPECT_EQ(Total(metrics_, "istio_tcp_connections_closed_total"), 2);

  snapshot.workloads = {sleep_, httpbin_};
  metrics_.DropWorkloads(snapshot);
  OpenAndClose(metrics_, to_httpbin);
  const auto samples = Samples(metrics_, "istio_tcp_connections_closed_total");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].labels.at("destination_workload"), "httpbin");
  EXPECT_EQ(samples[0].value, 1);
}

TEST_F(MetricsTest, LabelSetsAreBounded) {
  Metrics metrics({.version = "x", .max_label_sets = 10});
  for (int i = 0; i < 100; ++i) {
    OpenAndClose(metrics,
                 MakeFlow(static_cast<uint64_t>(i), Reporter::kSource, sleep_,
                          MakeWorkload("many", std::to_string(i))));
  }
  const auto samples = Samples(metrics, "istio_tcp_connections_closed_total");
  EXPECT_EQ(samples.size(), 11u);
  EXPECT_EQ(Total(metrics, "istio_tcp_connections_closed_total"), 100);
  EXPECT_EQ(Total(metrics, "nodeward_metric_label_sets_limited_total"), 180);
}

TEST_F(MetricsTest, BpfVerdictsFollowTheKernelsCounters) {
  metrics_.SetBpfVerdicts({{"connect_captured", 5}, {"probe_exempted", 2}});
  metrics_.SetBpfVerdicts({{"connect_captured", 7}, {"probe_exempted", 3}});
  const auto samples = Samples(metrics_, "nodeward_bpf_verdicts_total");
  ASSERT_EQ(samples.size(), 2u);
  for (const Sample& sample : samples) {
    EXPECT_EQ(sample.value,
              sample.labels.at("verdict") == "connect_captured" ? 7 : 3);
  }
  EXPECT_EQ(Total(metrics_, "nodeward_probe_exempted_total"), 3);
}

TEST_F(MetricsTest, GaugesAreExactlyWhatWasSet) {
  metrics_.SetCertificates({{"spiffe://a", absl::FromUnixSeconds(100)},
                            {"spiffe://b", absl::FromUnixSeconds(200)}});
  metrics_.SetCertificates({{"spiffe://b", absl::FromUnixSeconds(300)}});
  const auto certificates =
      Samples(metrics_, "nodeward_certificate_expiration_timestamp_seconds");
  ASSERT_EQ(certificates.size(), 1u);
  EXPECT_EQ(certificates[0].labels.at("identity"), "spiffe://b");
  EXPECT_EQ(certificates[0].value, 300);
  metrics_.SetPods({{"enrolled", 4}, {"failed", 1}});
  EXPECT_EQ(Total(metrics_, "nodeward_pods"), 5);
  metrics_.SetPods({{"enrolled", 3}});
  EXPECT_EQ(Samples(metrics_, "nodeward_pods").size(), 1u);
  metrics_.SetSourceProblems(2);
  EXPECT_EQ(Total(metrics_, "nodeward_source_problems"), 2);
  metrics_.SetLoad(11, 3, 4096);
  EXPECT_EQ(Total(metrics_, "nodeward_open_connections"), 11);
  EXPECT_EQ(Total(metrics_, "nodeward_tunnels"), 3);
  EXPECT_EQ(Total(metrics_, "nodeward_buffered_bytes"), 4096);
  metrics_.AddLostFlowEvents(6);
  EXPECT_EQ(Total(metrics_, "nodeward_flow_events_lost_total"), 6);
}

TEST_F(MetricsTest, BuildAndProcessAreThere) {
  const auto build = Samples(metrics_, "nodeward_build_info");
  ASSERT_EQ(build.size(), 1u);
  EXPECT_EQ(build[0].labels.at("version"), "1.2.3");
  EXPECT_GT(Total(metrics_, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(Total(metrics_, "process_open_fds"), 3);
  EXPECT_THAT(metrics_.Text(), HasSubstr("# TYPE nodeward_build_info gauge"));
}

}  // namespace
}  // namespace nodeward::observe
