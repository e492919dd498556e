// SPDX-License-Identifier: Apache-2.0
#include "capture/netns_watch.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace nodeward::capture {
namespace {

// With its slash; empty: `path` has none.
std::string FolderOf(const std::string& path) {
  return path.substr(0, path.rfind('/') + 1);
}

}  // namespace

base::StatusOr<std::unique_ptr<NetnsWatch>> NetnsWatch::Create(
    io::Loop& loop, std::function<void()> changed) {
  base::Fd inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify.valid()) {
    return base::ErrnoStatus(errno,
                             "watch for namespaces (raise "
                             "fs.inotify.max_user_instances)");
  }
  std::unique_ptr<NetnsWatch> watch(
      new NetnsWatch(loop, std::move(inotify), std::move(changed)));
  NODEWARD_TRY(loop.Add(watch->inotify_.get(), EPOLLIN, watch.get()));
  return watch;
}

NetnsWatch::NetnsWatch(io::Loop& loop, base::Fd inotify,
                       std::function<void()> changed)
    : loop_(loop), inotify_(std::move(inotify)), changed_(std::move(changed)) {}

NetnsWatch::~NetnsWatch() { loop_.Remove(inotify_.get(), this); }

void NetnsWatch::Watch(const std::set<std::string>& paths) {
  std::set<std::string> wanted;
  for (const std::string& path : paths) {
    std::string folder = FolderOf(path);
    if (!folder.empty()) wanted.insert(std::move(folder));
  }
  std::erase_if(folders_, [&](const auto& entry) {
    if (wanted.contains(entry.first)) return false;
    inotify_rm_watch(inotify_.get(), entry.second);
    return true;
  });
  for (const std::string& folder : wanted) {
    if (folders_.contains(folder)) continue;
    const int watch = inotify_add_watch(
        inotify_.get(), folder.c_str(),
        IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR);
    if (watch >= 0) folders_.emplace(folder, watch);
  }
}

bool NetnsWatch::Covers(const std::string& path) const {
  return folders_.contains(FolderOf(path));
}

void NetnsWatch::OnEvents(uint32_t) {
  alignas(inotify_event) char buffer[16 * 1024];
  bool changed = false;
  ssize_t size;
  while ((size = read(inotify_.get(), buffer, sizeof(buffer))) > 0) {
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(*event) + event->len);
      // IN_IGNORED only answers that a folder is no longer watched.
      if ((event->mask & IN_IGNORED) == 0) changed = true;
    }
  }
  if (changed) changed_();
}

}  // namespace nodeward::capture
