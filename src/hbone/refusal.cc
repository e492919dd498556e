// SPDX-License-Identifier: Apache-2.0
#include "hbone/refusal.h"

#include <sys/epoll.h>

#include <memory>
#include <utility>

#include "hbone/worker.h"
#include "io/socket.h"

namespace nodeward::hbone {
namespace {

// Long for a client that is about to look at its connect(), short for a person.
constexpr absl::Duration kMoment = absl::Milliseconds(20);

}  // namespace

void Refusal::Begin(Worker* worker, Pod* pod, Kind kind, base::Fd fd,
                    absl::Duration age, const base::Endpoint* captured) {
  const int number = fd.get();
  auto made =
      std::make_unique<Refusal>(worker, pod, kind, std::move(fd), captured);
  auto* const refusal = static_cast<Refusal*>(pod->Adopt(std::move(made)));
  if (age >= kMoment || !worker->workshop()
                             .loop()
                             .Add(number, EPOLLIN | EPOLLRDHUP, refusal)
                             .ok()) {
    return refusal->Reset();
  }
  refusal->timer_.Set(kMoment - age);
}

Refusal::Refusal(Worker* worker, Pod* pod, Kind kind, base::Fd fd,
                 const base::Endpoint* captured)
    : Member(worker, pod, kind),
      fd_(std::move(fd)),
      timer_(worker->workshop().loop(), [this] { Reset(); }) {
  if (captured != nullptr) captured_ = *captured;
}

Refusal::~Refusal() {
  if (fd_.valid()) worker_->workshop().loop().Remove(fd_.get(), this);
}

void Refusal::OnEvents(uint32_t) { Reset(); }

void Refusal::Abort(observe::Outcome, std::string) { Reset(); }

void Refusal::Reset() {
  if (!fd_.valid()) return;
  timer_.Cancel();
  worker_->workshop().loop().Forget(this);
  io::ResetAndClose(std::move(fd_));
  if (captured_.has_value()) pod_->network().Released(*captured_);
  Leave();
}

}  // namespace nodeward::hbone
