// SPDX-License-Identifier: Apache-2.0
//
// prometheus-cpp throws on names that are no metric names. Ours are constants,
// so every throw here is a programming error that the tests would meet; what
// could still be thrown (memory) ends the process, as everywhere else.
#include "observe/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/text.h"

namespace nodeward::observe {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Labels;

constexpr char kUnknown[] = "unknown";

// Namespace and workload name; both empty: not known.
using WorkloadKey = std::pair<std::string, std::string>;

std::string OrUnknown(const std::string& text) {
  return text.empty() ? kUnknown : text;
}

std::string_view SecurityPolicy(Security security) {
  switch (security) {
    case Security::kMutualTls:
      return "mutual_tls";
    case Security::kPlaintext:
    case Security::kPassthroughTls:
    case Security::kOriginatedTls:
      return "none";
    case Security::kUnknown:
      break;
  }
  return kUnknown;
}

// Istio's response flags, as far as TCP has them.
std::string_view ResponseFlags(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDeniedPlaintext:
    case Outcome::kDeniedPolicy:
    case Outcome::kDeniedRequest:
    case Outcome::kBadRequest:
    case Outcome::kPolicyChanged:
    case Outcome::kTrustChanged:
    case Outcome::kCertificateEnd:
    case Outcome::kSilent:
    case Outcome::kReservedPort:
    case Outcome::kNoOriginalDestination:
      return "DENY";
    case Outcome::kTlsFailure:
      return "TLS_FAILURE";
    case Outcome::kNoCredential:
      return "IDENTITY_ERROR";
    case Outcome::kUpstreamRefused:
    case Outcome::kUpstreamTimeout:
    case Outcome::kTunnelRefused:
    case Outcome::kTunnelLost:
    case Outcome::kNoRoute:
    case Outcome::kLimit:
      return "CONNECT";
    case Outcome::kOpen:
    case Outcome::kClosed:
    case Outcome::kReset:
    case Outcome::kPodGone:
    case Outcome::kShutdown:
      break;
  }
  return "-";
}

WorkloadKey KeyOf(const model::Workload* workload) {
  if (workload == nullptr) return {};
  return {workload->name_space, workload->workload_name};
}

void AddEnd(Labels& labels, const std::string& side,
            const model::Workload* workload, const model::Identity* identity) {
  static const model::Workload* const kNone = new model::Workload();
  const bool known = workload != nullptr;
  const model::Workload& w = known ? *workload : *kNone;
  labels[side + "_workload"] = OrUnknown(w.workload_name);
  labels[side + "_workload_namespace"] = OrUnknown(w.name_space);
  labels[side + "_principal"] = identity ? identity->ToSpiffe() : kUnknown;
  labels[side + "_app"] = OrUnknown(w.app);
  labels[side + "_version"] = OrUnknown(w.version);
  labels[side + "_canonical_service"] = OrUnknown(w.canonical_service);
  labels[side + "_canonical_revision"] =
      !known || !w.canonical_revision->empty() ? OrUnknown(w.canonical_revision)
                                               : "latest";
  labels[side + "_cluster"] = known ? "Kubernetes" : kUnknown;
}

Labels LabelsOf(const Flow& flow) {
  Labels labels;
  labels["reporter"] = ReporterText(flow.reporter);
  AddEnd(labels, "source", flow.source_workload.get(),
         flow.source_identity.get());
  AddEnd(labels, "destination", flow.destination_workload.get(),
         flow.destination_identity.get());
  const model::Service* const service = flow.service.get();
  labels["destination_service"] = service ? service->Hostname() : kUnknown;
  labels["destination_service_name"] = service ? service->name : kUnknown;
  labels["destination_service_namespace"] =
      service ? service->name_space
              : OrUnknown(KeyOf(flow.destination_workload.get()).first);
  labels["request_protocol"] = "tcp";
  labels["response_flags"] = ResponseFlags(flow.outcome);
  labels["connection_security_policy"] = SecurityPolicy(flow.security);
  return labels;
}

void AddKey(std::string& key, std::string_view part) {
  key += part;
  key += '\0';
}

void AddEndKey(std::string& key, const model::Workload* workload,
               const model::Identity* identity) {
  if (workload != nullptr) {
    for (const std::string* part :
         {&workload->name_space, &*workload->workload_name, &*workload->app,
          &*workload->version, &*workload->canonical_service,
          &*workload->canonical_revision}) {
      AddKey(key, *part);
    }
  }
  AddKey(key, workload != nullptr ? "+" : "-");
  if (identity) {
    AddKey(key, identity->trust_domain);
    AddKey(key, identity->name_space);
    AddKey(key, identity->service_account);
  }
  AddKey(key, identity ? "+" : "-");
}

// Flows of one key have equal labels; made for every event, so without the map.
std::string SeriesKey(const Flow& flow) {
  std::string key;
  key.reserve(256);
  AddKey(key, ReporterText(flow.reporter));
  AddKey(key, ResponseFlags(flow.outcome));
  AddKey(key, SecurityPolicy(flow.security));
  AddEndKey(key, flow.source_workload.get(), flow.source_identity.get());
  AddEndKey(key, flow.destination_workload.get(),
            flow.destination_identity.get());
  if (flow.service != nullptr) {
    AddKey(key, flow.service->name_space);
    AddKey(key, flow.service->name);
  }
  return key;
}

// One label set's counters, made when first needed.
struct Series {
  WorkloadKey source, destination;
  Counter* opened = nullptr;
  Counter* closed = nullptr;
  Counter* failed = nullptr;
  Counter* sent = nullptr;
  Counter* received = nullptr;
};

}  // namespace

struct Metrics::State {
  explicit State(Options given);

  template <typename T>
  Family<T>& Make(const std::string& name, const std::string& help) {
    if constexpr (std::is_same_v<T, Counter>) {
      return prometheus::BuildCounter().Name(name).Help(help).Register(
          registry);
    } else {
      return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
    }
  }
  Series* Find(const Flow& flow, const Flow** shown);
  void Drop(const Series& series);
  bool Gone(const WorkloadKey& key) const {
    return live_known && !key.second.empty() && !live.contains(key);
  }
  void SetProcess() const;

  Options options;
  prometheus::Registry registry;
  Family<Counter>& opened =
      Make<Counter>("istio_tcp_connections_opened_total",
                    "TCP connections opened through the agent.");
  Family<Counter>& closed =
      Make<Counter>("istio_tcp_connections_closed_total",
                    "TCP connections that were open and have ended.");
  Family<Counter>& failed =
      Make<Counter>("istio_tcp_connections_failed_total",
                    "TCP connections that were never open.");
  Family<Counter>& sent =
      Make<Counter>("istio_tcp_sent_bytes_total",
                    "Bytes from server to client of ended connections.");
  Family<Counter>& received =
      Make<Counter>("istio_tcp_received_bytes_total",
                    "Bytes from client to server of ended connections.");
  Family<Counter>& refused =
      Make<Counter>("nodeward_connections_refused_total",
                    "Connections that nodeward itself refused or ended.");
  Family<Counter>& requests =
      Make<Counter>("nodeward_http_requests_refused_total",
                    "HTTP requests that nodeward itself refused.");
  Family<Counter>& verdicts = Make<Counter>("nodeward_bpf_verdicts_total",
                                            "Decisions of the BPF programs.");
  Counter& exempted = Make<Counter>("nodeward_probe_exempted_total",
                                    "Kubelet probes let through.")
                          .Add({});
  Counter& lost = Make<Counter>("nodeward_flow_events_lost_total",
                                "Connection events dropped under load.")
                      .Add({});
  Counter& limited =
      Make<Counter>("nodeward_metric_label_sets_limited_total",
                    "Connection events counted under unknown ends because "
                    "there are too many label sets.")
          .Add({});
  Family<Gauge>& certificates =
      Make<Gauge>("nodeward_certificate_expiration_timestamp_seconds",
                  "When the certificate of an identity expires.");
  Family<Gauge>& pods =
      Make<Gauge>("nodeward_pods", "Pods of this node by state.");
  Gauge& problems = Make<Gauge>("nodeward_source_problems",
                                "Mistakes in the source of truth.")
                        .Add({});
  Gauge& open =
      Make<Gauge>("nodeward_open_connections", "Connections open now.").Add({});
  Gauge& tunnels =
      Make<Gauge>("nodeward_tunnels", "HBONE tunnels open now.").Add({});
  Gauge& buffered = Make<Gauge>("nodeward_buffered_bytes",
                                "Bytes held for readers that are slow.")
                        .Add({});
  Gauge& memory = Make<Gauge>("process_resident_memory_bytes",
                              "Resident memory size in bytes.")
                      .Add({});
  Gauge& descriptors =
      Make<Gauge>("process_open_fds", "Number of open file descriptors.")
          .Add({});

  absl::flat_hash_map<std::string, Series> series;  // by SeriesKey
  Flow blurred;
  absl::flat_hash_set<WorkloadKey> live;
  bool live_known = false;
  absl::flat_hash_map<std::string, uint64_t> last_verdicts;
  absl::flat_hash_map<std::string, Gauge*> certificate_gauges;
  absl::flat_hash_map<std::string, Gauge*> pod_gauges;
};

Metrics::State::State(Options given) : options(std::move(given)) {
  Make<Gauge>("nodeward_build_info", "Always 1.")
      .Add({{"version", options.version}})
      .Set(1);
}

// The series of `flow`, or null when it must not have one. `shown` is what its
// labels are to be made of.
Series* Metrics::State::Find(const Flow& flow, const Flow** shown) {
  const WorkloadKey source = KeyOf(flow.source_workload.get());
  const WorkloadKey destination = KeyOf(flow.destination_workload.get());
  if (Gone(source) || Gone(destination)) return nullptr;
  *shown = &flow;
  std::string text = SeriesKey(flow);
  const auto found = series.find(text);
  if (found != series.end()) return &found->second;
  if (series.size() < options.max_label_sets) {
    return &series.emplace(std::move(text), Series{source, destination})
                .first->second;
  }
  limited.Increment();
  blurred = Flow();
  blurred.reporter = flow.reporter;
  blurred.security = flow.security;
  blurred.outcome = flow.outcome;
  *shown = &blurred;
  return &series.emplace(SeriesKey(blurred), Series()).first->second;
}

void Metrics::State::Drop(const Series& one) {
  const auto drop = [](Family<Counter>& family, Counter* counter) {
    if (counter != nullptr) family.Remove(counter);
  };
  drop(opened, one.opened);
  drop(closed, one.closed);
  drop(failed, one.failed);
  drop(sent, one.sent);
  drop(received, one.received);
}

// Read when asked for: a scrape is the only reader.
void Metrics::State::SetProcess() const {
  if (std::FILE* const file = std::fopen("/proc/self/statm", "re")) {
    long size = 0, resident = 0;
    if (std::fscanf(file, "%ld %ld", &size, &resident) == 2) {
      memory.Set(static_cast<double>(resident) *
                 static_cast<double>(sysconf(_SC_PAGESIZE)));
    }
    std::fclose(file);
  }
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  double count = 0;
  for (; !error && entry != std::filesystem::directory_iterator();
       entry.increment(error)) {
    ++count;
  }
  // Without the one that lists the folder.
  descriptors.Set(count > 0 ? count - 1 : 0);
}

Metrics::Metrics(Options options)
    : state_(std::make_unique<State>(std::move(options))) {}
Metrics::~Metrics() = default;

namespace {

void Add(Family<Counter>& family, Counter*& counter, const Flow& shown,
         double value) {
  if (counter == nullptr) counter = &family.Add(LabelsOf(shown));
  counter->Increment(value);
}

}  // namespace

void Metrics::Opened(const Flow& flow) {
  const Flow* shown = nullptr;
  Series* const series = state_->Find(flow, &shown);
  if (series != nullptr) Add(state_->opened, series->opened, *shown, 1);
}

void Metrics::Closed(const Flow& flow, bool opened) {
  if (IsOfRequest(flow.outcome)) {
    state_->requests.Add({{"reason", std::string(OutcomeText(flow.outcome))}})
        .Increment();
    return;
  }
  if (IsRefusal(flow.outcome)) {
    // A family finds equal labels again.
    state_->refused
        .Add({{"reason", std::string(OutcomeText(flow.outcome))},
              {"reporter", std::string(ReporterText(flow.reporter))}})
        .Increment();
  }
  const Flow* shown = nullptr;
  Series* const series = state_->Find(flow, &shown);
  if (series == nullptr) return;
  if (!opened && flow.outcome != Outcome::kClosed) {
    Add(state_->failed, series->failed, *shown, 1);
    return;
  }
  Add(state_->closed, series->closed, *shown, 1);
  // Istio counts as the server's proxy does: received from the client.
  Add(state_->received, series->received, *shown,
      static_cast<double>(flow.bytes_sent));
  Add(state_->sent, series->sent, *shown,
      static_cast<double>(flow.bytes_received));
}

void Metrics::AddLostFlowEvents(uint64_t count) {
  state_->lost.Increment(static_cast<double>(count));
}

void Metrics::DropWorkloads(const model::Snapshot& snapshot) {
  state_->live.clear();
  for (const auto& workload : snapshot.workloads) {
    state_->live.insert(KeyOf(workload.get()));
  }
  state_->live_known = true;
  absl::erase_if(state_->series, [&](const auto& entry) {
    const Series& series = entry.second;
    const bool gone =
        state_->Gone(series.source) || state_->Gone(series.destination);
    if (gone) state_->Drop(series);
    return gone;
  });
}

void Metrics::SetBpfVerdicts(
    const absl::flat_hash_map<std::string, uint64_t>& verdicts) {
  for (const auto& [name, value] : verdicts) {
    uint64_t& last = state_->last_verdicts[name];
    const auto more = static_cast<double>(value >= last ? value - last : value);
    last = value;
    state_->verdicts.Add({{"verdict", name}}).Increment(more);
    if (name == "probe_exempted") state_->exempted.Increment(more);
  }
}

namespace {

// Exactly the series in `wanted` have a value afterwards.
void SetExactly(Family<Gauge>& family, const std::string& label,
                const absl::flat_hash_map<std::string, double>& wanted,
                absl::flat_hash_map<std::string, Gauge*>& gauges) {
  absl::erase_if(gauges, [&](const auto& entry) {
    if (wanted.contains(entry.first)) return false;
    family.Remove(entry.second);
    return true;
  });
  for (const auto& [name, value] : wanted) {
    Gauge*& gauge = gauges[name];
    if (gauge == nullptr) gauge = &family.Add({{label, name}});
    gauge->Set(value);
  }
}

}  // namespace

void Metrics::SetCertificates(
    const std::vector<std::pair<std::string, absl::Time>>& certificates) {
  absl::flat_hash_map<std::string, double> wanted;
  for (const auto& [identity, expiry] : certificates) {
    wanted[identity] = static_cast<double>(absl::ToUnixSeconds(expiry));
  }
  SetExactly(state_->certificates, "identity", wanted,
             state_->certificate_gauges);
}

void Metrics::SetPods(const absl::flat_hash_map<std::string, int>& pods) {
  absl::flat_hash_map<std::string, double> wanted;
  for (const auto& [state, count] : pods) wanted[state] = count;
  SetExactly(state_->pods, "state", wanted, state_->pod_gauges);
}

void Metrics::SetSourceProblems(int64_t count) {
  state_->problems.Set(static_cast<double>(count));
}

void Metrics::SetLoad(uint64_t connections, uint64_t tunnels,
                      uint64_t buffered_bytes) {
  state_->open.Set(static_cast<double>(connections));
  state_->tunnels.Set(static_cast<double>(tunnels));
  state_->buffered.Set(static_cast<double>(buffered_bytes));
}

std::string Metrics::Text() const {
  state_->SetProcess();
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace nodeward::observe
