// SPDX-License-Identifier: Apache-2.0
#include "observe/edges.h"

#include <utility>

#include "base/text.h"

namespace nodeward::observe {
namespace {

using base::Json;
using base::StrCat;

constexpr absl::Duration kBucket = absl::Minutes(1);
constexpr size_t kMaxRefusal = 300;

std::string NameOf(const model::Workload* workload) {
  return workload == nullptr ? "unknown" : workload->workload_name;
}
std::string NamespaceOf(const model::Workload* workload) {
  return workload == nullptr ? "unknown" : workload->name_space;
}

// An alias of the trust domain is the same workload.
bool SameWorkload(const model::Workload* workload,
                  const model::Identity& verified) {
  return workload == nullptr ||
         (workload->identity->name_space == verified.name_space &&
          workload->identity->service_account == verified.service_account);
}

}  // namespace

Edges::Counts Edges::View::Total() const {
  Counts total = open;
  for (const Bucket& bucket : buckets) {
    for (size_t i = 0; i < total.size(); ++i) total[i] += bucket.closed[i];
  }
  return total;
}

Edges::Key Edges::KeyOf(const Flow& flow) {
  const model::Workload* const src = flow.source_workload.get();
  const model::Workload* const dst = flow.destination_workload.get();
  return {NamespaceOf(src), NamespaceOf(dst), NameOf(src), NameOf(dst)};
}

Edges::Class Edges::Classify(const Flow& flow, bool opened) {
  if (!opened && flow.outcome != Outcome::kOpen) {
    if (IsRefusal(flow.outcome)) return kRefused;
    if (flow.outcome != Outcome::kClosed && flow.outcome != Outcome::kReset) {
      return kFailed;
    }
  }
  switch (flow.security) {
    case Security::kPlaintext:
      return kPlaintext;
    case Security::kPassthroughTls:
      return kPassthrough;
    case Security::kOriginatedTls:
      return kOriginated;
    case Security::kUnknown:
      return kUnknown;
    case Security::kMutualTls:
      break;
  }
  if (!flow.source_identity || !flow.destination_identity) return kUnverified;
  const bool same =
      SameWorkload(flow.source_workload.get(), *flow.source_identity) &&
      SameWorkload(flow.destination_workload.get(), *flow.destination_identity);
  return same ? kSecured : kMismatch;
}

std::string_view Edges::ClassText(Class kind) {
  switch (kind) {
    case kSecured:
      return "secured";
    case kPlaintext:
      return "plaintext";
    case kPassthrough:
      return "application TLS";
    case kOriginated:
      return "TLS by DestinationRule";
    case kUnverified:
      return "identity not verified";
    case kMismatch:
      return "identity mismatch";
    case kRefused:
      return "refused";
    case kFailed:
      return "failed";
    case kUnknown:
    case kClasses:
      break;
  }
  return "unknown";
}

std::string Edges::Reason(const Edge& edge) {
  Counts refused{};
  bool passed = false;
  for (const Reporter reporter : {Reporter::kDestination, Reporter::kSource}) {
    Counts counts = edge.views[static_cast<size_t>(reporter)].Total();
    for (const Class kind : {kRefused, kFailed}) {
      refused[kind] += std::exchange(counts[kind], 0);
    }
    uint64_t total = 0, classes = 0;
    Class worst = kSecured;
    for (size_t i = 0; i < counts.size(); ++i) {
      total += counts[i];
      if (i == kSecured || counts[i] == 0) continue;
      ++classes;
      worst = static_cast<Class>(i);
    }
    if (total > 0) passed = true;
    if (classes == 0) continue;
    const uint64_t unsecured = total - counts[kSecured];
    if (classes == 1 && unsecured == total)
      return std::string(ClassText(worst));
    return StrCat("mixed: ", unsecured, " of ", total, " ",
                  classes == 1 ? ClassText(worst) : "not secured");
  }
  if (passed) return "";
  if (refused[kRefused] > 0) return std::string(ClassText(kRefused));
  if (refused[kFailed] > 0) return std::string(ClassText(kFailed));
  return std::string(ClassText(kUnknown));
}

Edges::Edge* Edges::Find(const Flow& flow, absl::Time now) {
  Key key = KeyOf(flow);
  auto found = edges_.find(key);
  if (found == edges_.end()) {
    // A sweep costs the whole table: not for every one of a flood.
    if (edges_.size() >= kMaxEdges && now >= swept_ + kBucket) Expire(now);
    if (edges_.size() >= kMaxEdges) {
      truncated_ = true;
      return nullptr;
    }
    found = edges_.emplace(std::move(key), Edge()).first;
  }
  Note(&found->second, flow);
  return &found->second;
}

void Edges::Note(Edge* edge, const Flow& flow) {
  if (flow.source_identity) edge->client_id = flow.source_identity->ToSpiffe();
  if (flow.destination_identity) {
    edge->server_id = flow.destination_identity->ToSpiffe();
  }
}

void Edges::Opened(const Flow& flow, absl::Time now) {
  Edge* const edge = Find(flow, now);
  if (edge == nullptr) return;
  const Class kind = Classify(flow, true);
  if (open_.emplace(flow.id, OpenFlow{edge, flow.reporter, kind}).second) {
    ++edge->views[static_cast<size_t>(flow.reporter)].open[kind];
  }
}

void Edges::Count(View& view, Class kind, absl::Time now) {
  if (view.buckets.empty() || now >= view.buckets.back().start + kBucket) {
    view.buckets.push_back({now});
    // A busy edge is nobody's turn to be expired, so it expires itself.
    while (view.buckets.front().start + kBucket + kRetention < now) {
      view.buckets.pop_front();
    }
  }
  ++view.buckets.back().closed[kind];
}

void Edges::Closed(const Flow& flow, absl::Time now) {
  const auto open = open_.find(flow.id);
  const bool opened = open != open_.end();
  Edge* edge = nullptr;
  if (opened) {
    edge = open->second.edge;
    --edge->views[static_cast<size_t>(open->second.reporter)]
          .open[open->second.kind];
    open_.erase(open);
  }
  const Class kind = Classify(flow, opened);
  // Somebody from outside whom nothing let in is no neighbour of anyone.
  if ((kind == kRefused || kind == kFailed) &&
      (!flow.source_workload || !flow.destination_workload)) {
    return;
  }
  if (edge == nullptr) {
    edge = Find(flow, now);
    if (edge == nullptr) return;
  } else {
    Note(edge, flow);
  }
  Count(edge->views[static_cast<size_t>(flow.reporter)], kind, now);
  if ((kind == kRefused || kind == kFailed) && !flow.detail.empty()) {
    edge->refusal = flow.detail.substr(0, kMaxRefusal);
  }
}

void Edges::Lost(uint64_t flow_id, absl::Time now) {
  const auto open = open_.find(flow_id);
  if (open == open_.end()) return;
  View& view =
      open->second.edge->views[static_cast<size_t>(open->second.reporter)];
  --view.open[open->second.kind];
  Count(view, open->second.kind, now);
  open_.erase(open);
}

void Edges::Expire(absl::Time now) {
  swept_ = now;
  for (auto it = edges_.begin(); it != edges_.end();) {
    bool live = false;
    for (View& view : it->second.views) {
      while (!view.buckets.empty() &&
             view.buckets.front().start + kBucket + kRetention < now) {
        view.buckets.pop_front();
      }
      live |= !view.buckets.empty();
      for (const uint64_t open : view.open) live |= open > 0;
    }
    it = live ? std::next(it) : edges_.erase(it);
  }
  if (edges_.size() < kMaxEdges) truncated_ = false;
}

Json Edges::Result(const std::string& name_space, absl::Time now) {
  Expire(now);
  Json rows = Json::array();
  for (const auto& [key, edge] : edges_) {
    if (!name_space.empty() && key.src_namespace != name_space &&
        key.dst_namespace != name_space) {
      continue;
    }
    rows.push_back({{"src", key.src},
                    {"src_namespace", key.src_namespace},
                    {"dst", key.dst},
                    {"dst_namespace", key.dst_namespace},
                    {"client_id", edge.client_id},
                    {"server_id", edge.server_id},
                    {"no_tls_reason", Reason(edge)},
                    {"last_refusal", edge.refusal}});
  }
  return {{"edges", std::move(rows)}, {"truncated", truncated_}};
}

}  // namespace nodeward::observe
