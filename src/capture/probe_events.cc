// SPDX-License-Identifier: Apache-2.0
#include "capture/probe_events.h"

#include <sys/epoll.h>

#include <utility>

namespace nodeward::capture {

base::StatusOr<std::unique_ptr<ProbeEvents>> ProbeEvents::Watch(
    io::Loop& loop, std::shared_ptr<kernel::Hooks> hooks, Handler handler) {
  std::unique_ptr<ProbeEvents> events(
      new ProbeEvents(loop, std::move(hooks), std::move(handler)));
  const int fd = events->hooks_->probe_events_fd();
  if (fd >= 0) NODEWARD_TRY(loop.Add(fd, EPOLLIN, events.get()));
  return events;
}

ProbeEvents::ProbeEvents(io::Loop& loop, std::shared_ptr<kernel::Hooks> hooks,
                         Handler handler)
    : loop_(loop), hooks_(std::move(hooks)), handler_(std::move(handler)) {}

ProbeEvents::~ProbeEvents() {
  const int fd = hooks_->probe_events_fd();
  if (fd >= 0) loop_.Remove(fd, this);
}

void ProbeEvents::OnEvents(uint32_t) { hooks_->DrainProbeEvents(handler_); }

}  // namespace nodeward::capture
