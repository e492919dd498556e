// SPDX-License-Identifier: Apache-2.0
#include "identity/file_watch.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace nodeward::identity {
namespace {

constexpr uint32_t kChanges = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE |
                              IN_DELETE_SELF | IN_MOVED_FROM | IN_MOVED_TO |
                              IN_MOVE_SELF;
constexpr absl::Duration kSettle = absl::Milliseconds(10);
constexpr absl::Duration kPoll = absl::Seconds(10);
constexpr int kMaxLinks = 16;

}  // namespace

base::StatusOr<std::unique_ptr<FileWatch>> FileWatch::Create(
    io::Loop& loop, std::vector<std::string> paths,
    std::function<void()> changed) {
  base::Fd inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify.valid()) {
    return base::ErrnoStatus(
        errno, "watch files (is fs.inotify.max_user_instances used up?)");
  }
  std::unique_ptr<FileWatch> watch(new FileWatch(
      loop, std::move(inotify), std::move(paths), std::move(changed)));
  NODEWARD_TRY(loop.Add(watch->inotify_.get(), EPOLLIN, watch.get()));
  watch->Arm();
  watch->timer_.Set(kPoll);
  return watch;
}

FileWatch::FileWatch(io::Loop& loop, base::Fd inotify,
                     std::vector<std::string> paths,
                     std::function<void()> changed)
    : loop_(loop),
      inotify_(std::move(inotify)),
      paths_(std::move(paths)),
      changed_(std::move(changed)),
      timer_(loop, [this] { OnTimer(); }) {}

FileWatch::~FileWatch() { loop_.Remove(inotify_.get(), this); }

void FileWatch::OnEvents(uint32_t) {
  alignas(inotify_event) char events[4096];
  while (read(inotify_.get(), events, sizeof(events)) > 0) {
  }
  if (std::exchange(settling_, true)) return;
  timer_.Set(kSettle);
}

void FileWatch::OnTimer() {
  settling_ = false;
  // Before the callback reads: what changes from here on is told of again.
  Arm();
  timer_.Set(kPoll);
  changed_();
}

// Anew: what the paths lead to may be elsewhere now.
void FileWatch::Arm() {
  const std::vector<int> before = std::exchange(watches_, {});
  for (const std::string& path : paths_) WatchPath(path);
  for (const int watch : before) {
    if (std::find(watches_.begin(), watches_.end(), watch) == watches_.end()) {
      inotify_rm_watch(inotify_.get(), watch);
    }
  }
}

void FileWatch::WatchPath(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path here = path;
  // Each link on the way is an entry of a folder of its own; "..data" is one in
  // the middle of the path, so its parents count, too.
  for (int links = 0; links < kMaxLinks; ++links) {
    WatchFolder(here.parent_path());
    const fs::path folder = fs::weakly_canonical(here.parent_path(), error);
    if (!error) WatchFolder(folder);
    if (!fs::is_symlink(fs::symlink_status(here, error))) break;
    const fs::path target = fs::read_symlink(here, error);
    if (error) break;
    here = target.is_absolute() ? target : here.parent_path() / target;
    WatchFolder(here.parent_path().parent_path());
  }
  if (fs::is_directory(here, error)) WatchFolder(here);
}

void FileWatch::WatchFolder(std::string folder) {
  if (folder.empty()) folder.assign(1, '.');
  int watch = -1;
  // Of one that is not there yet: where it would appear.
  while ((watch = inotify_add_watch(inotify_.get(), folder.c_str(),
                                    kChanges | IN_ONLYDIR)) < 0 &&
         folder.size() > 1) {
    const std::string parent = std::filesystem::path(folder).parent_path();
    if (parent == folder || parent.empty()) return;
    folder.assign(parent);
  }
  if (watch >= 0) watches_.push_back(watch);
}

}  // namespace nodeward::identity
