// SPDX-License-Identifier: Apache-2.0
#include "io/signals.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace nodeward::io {

base::StatusOr<std::unique_ptr<Signals>> Signals::Watch(
    Loop& loop, std::function<void(int)> callback) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) {
    return base::ErrnoStatus(errno, "block signals");
  }
  base::Fd fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd.valid()) return base::ErrnoStatus(errno, "create signalfd");
  std::unique_ptr<Signals> signals(
      new Signals(loop, std::move(fd), std::move(callback)));
  NODEWARD_TRY(loop.Add(signals->fd_.get(), EPOLLIN, signals.get()));
  return signals;
}

Signals::Signals(Loop& loop, base::Fd fd, std::function<void(int)> callback)
    : loop_(loop), fd_(std::move(fd)), callback_(std::move(callback)) {}

Signals::~Signals() { loop_.Remove(fd_.get(), this); }

void Signals::OnEvents(uint32_t) {
  signalfd_siginfo info{};
  if (read(fd_.get(), &info, sizeof(info)) == sizeof(info)) {
    callback_(static_cast<int>(info.ssi_signo));
  }
}

}  // namespace nodeward::io
