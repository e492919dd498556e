// SPDX-License-Identifier: Apache-2.0
#include "hbone/listener.h"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "base/log.h"
#include "hbone/channel.h"
#include "hbone/pod.h"
#include "hbone/worker.h"
#include "io/socket.h"

namespace nodeward::hbone {
namespace {

// So many at a time: what is left wakes this or another worker again.
constexpr int kBatch = 16;
// While the process has no descriptor left, the connection stays in the queue.
constexpr absl::Duration kPause = absl::Milliseconds(100);

}  // namespace

Listener::Listener(Worker* worker, Pod* pod, int fd, Kind kind)
    : worker_(worker),
      pod_(pod),
      fd_(fd),
      kind_(kind),
      pause_(worker->workshop().loop(), [this] { Start(); }) {}

Listener::~Listener() { Stop(); }

void Listener::Start() {
  TuneForNetwork(fd_);
  if (kind_ == Kind::kOutbound) io::SkipPacing(fd_);
  // Level-triggered: a batch that was cut short is told of again.
  const base::Status added =
      worker_->workshop().loop().Add(fd_, EPOLLIN | EPOLLEXCLUSIVE, this);
  watching_ = added.ok();
  if (!added.ok()) {
    base::LogError("watch listener", {{"pod", pod_->uid()},
                                      {"error", std::string(added.message())}});
  }
}

void Listener::Stop() {
  if (std::exchange(watching_, false)) {
    worker_->workshop().loop().Remove(fd_, this);
  }
}

void Listener::OnEvents(uint32_t) {
  for (int i = 0; i < kBatch; ++i) {
    base::Endpoint peer;
    int error = 0;
    auto fd = io::Accept(fd_, &peer, &error);
    if (!fd.has_value()) {
      if (error == EMFILE || error == ENFILE) {
        base::LogWarn(
            "accept connection: out of descriptors (raise "
            "LimitNOFILE)",
            {{"pod", pod_->uid()}});
        Stop();
        pause_.Set(kPause);
      }
      return;
    }
    worker_->Accepted(pod_, kind_, *std::move(fd), peer);
  }
}

}  // namespace nodeward::hbone
