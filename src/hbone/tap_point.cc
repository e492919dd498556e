// SPDX-License-Identifier: Apache-2.0
#include "hbone/tap_point.h"

#include <algorithm>
#include <utility>

#include "hbone/worker.h"

namespace nodeward::hbone {
namespace {

using observe::TapEvent;

observe::TapConnection ConnectionOf(const observe::Flow& flow) {
  const bool in = flow.reporter == observe::Reporter::kDestination;
  const auto& own = in ? flow.destination_workload : flow.source_workload;
  return {.reporter = flow.reporter,
          .security = flow.security,
          .source = flow.source,
          .destination = flow.upstream,
          .pod = own == nullptr ? std::string() : own->uid,
          .source_workload = flow.source_workload,
          .destination_workload = flow.destination_workload,
          .service = flow.service,
          .source_identity = flow.source_identity,
          .destination_identity = flow.destination_identity};
}

}  // namespace

std::unique_ptr<TapPoint> TapPoint::Begin(const Worker& worker,
                                          const observe::Flow& flow) {
  const observe::Taps* const taps = worker.options().taps;
  if (taps == nullptr || !taps->any()) return nullptr;
  auto watching = taps->Watching(flow);
  if (watching.empty()) return nullptr;
  return std::make_unique<TapPoint>(worker, flow, std::move(watching));
}

TapPoint::TapPoint(const Worker& worker, const observe::Flow& flow,
                   std::vector<std::shared_ptr<observe::Tap>> taps)
    : worker_(worker),
      connection_(
          std::make_shared<const observe::TapConnection>(ConnectionOf(flow))),
      taps_(std::move(taps)),
      spectator_(this) {}

// When the last tap has ended, nothing is read any more.
bool TapPoint::watched() {
  if (taps_.empty()) return false;
  if (std::all_of(taps_.begin(), taps_.end(),
                  [](const auto& tap) { return tap->stopped(); })) {
    taps_.clear();
    exchanges_.clear();
    spectator_.Leave();
    return false;
  }
  return true;
}

absl::Duration TapPoint::now() const { return worker_.now(); }

void TapPoint::FromClient(base::ByteSpan bytes) {
  if (watched()) spectator_.FromClient(bytes);
}

void TapPoint::FromServer(base::ByteSpan bytes) {
  if (watched()) spectator_.FromServer(bytes);
}

void TapPoint::End(const observe::Flow& flow) {
  if (!watched()) return;
  const bool in_order = flow.outcome == observe::Outcome::kClosed;
  spectator_.End(in_order ? std::string_view()
                          : observe::OutcomeText(flow.outcome));
  if (opened_.empty()) return;
  TapEvent event;
  event.kind = TapEvent::Kind::kClose;
  event.time = flow.duration;
  event.sent = flow.bytes_sent;
  event.received = flow.bytes_received;
  event.outcome = flow.outcome;
  Push(opened_, event);
}

void TapPoint::OnRequest(uint64_t exchange, const http::SeenRequest& request) {
  Exchange begun;
  begun.began = now();
  bool shown = false;
  for (const auto& tap : taps_) {
    begun.ids.emplace_back();
    if (tap->stopped() ||
        !tap->WantsRequest(request.method, request.authority, request.path)) {
      continue;
    }
    begun.ids.back() = tap->Admit(connection_->pod, begun.began);
    shown |= begun.ids.back().has_value();
  }
  if (!shown) return;
  TapEvent event;
  event.kind = TapEvent::Kind::kRequest;
  event.method = request.method;
  event.authority = request.authority;
  event.path = request.path;
  Push(begun.ids, event);
  exchanges_[exchange] = std::move(begun);
}

void TapPoint::OnResponse(uint64_t exchange, int status) {
  const auto found = exchanges_.find(exchange);
  if (found == exchanges_.end()) return;
  found->second.answered = now();
  TapEvent event;
  event.kind = TapEvent::Kind::kResponse;
  event.status = status;
  event.time = now() - found->second.began;
  Push(found->second.ids, event);
}

void TapPoint::OnExchangeEnd(uint64_t exchange, const http::SeenEnd& end) {
  const auto found = exchanges_.find(exchange);
  if (found == exchanges_.end()) return;
  const Exchange ended = std::move(found->second);
  exchanges_.erase(found);
  TapEvent event;
  event.kind = TapEvent::Kind::kEnd;
  event.time = now() - ended.answered.value_or(ended.began);
  event.received = end.length;
  event.grpc_status = end.grpc_status;
  event.reset = end.reset;
  Push(ended.ids, event);
}

void TapPoint::OnOpaque() {
  bool shown = false;
  for (const auto& tap : taps_) {
    opened_.emplace_back();
    if (tap->stopped() || tap->WantsHttpOnly()) continue;
    opened_.back() = tap->Admit(connection_->pod, now());
    shown |= opened_.back().has_value();
  }
  if (!shown) return opened_.clear();
  TapEvent event;
  event.kind = TapEvent::Kind::kOpen;
  Push(opened_, event);
}

void TapPoint::Push(const Shown& ids, const TapEvent& event) {
  for (size_t i = 0; i < taps_.size(); ++i) {
    if (!ids[i].has_value()) continue;
    TapEvent copy = event;
    copy.id = *ids[i];
    copy.connection = connection_;
    taps_[i]->Push(std::move(copy));
  }
}

}  // namespace nodeward::hbone
