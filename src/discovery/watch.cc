// SPDX-License-Identifier: Apache-2.0
#include "discovery/watch.h"

#include <sys/epoll.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "base/text.h"

namespace nodeward::discovery {
namespace {

constexpr absl::Duration kSettle = absl::Milliseconds(10);
constexpr absl::Duration kRetry = absl::Milliseconds(200);
constexpr uint32_t kFolderEvents =
    IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO |
    IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR;
constexpr uint32_t kTargetEvents =
    IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;

base::Status WatchError(int error, const std::string& path) {
  return base::ErrnoStatus(
      error, base::StrCat("watch ", path,
                          error == ENOSPC
                              ? " (raise sysctl fs.inotify.max_user_watches)"
                              : ""));
}

}  // namespace

base::StatusOr<std::unique_ptr<Watch>> Watch::Create(io::Loop& loop,
                                                     std::string directory) {
  while (directory.size() > 1 && directory.ends_with('/')) {
    directory.pop_back();
  }
  NODEWARD_TRY(CheckFolder(directory));
  base::Fd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.valid()) {
    const int error = errno;
    return base::ErrnoStatus(error, error == EMFILE
                                        ? "create inotify (raise sysctl "
                                          "fs.inotify.max_user_instances)"
                                        : "create inotify");
  }
  return std::unique_ptr<Watch>(
      new Watch(loop, std::move(directory), std::move(inotify)));
}

Watch::Watch(io::Loop& loop, std::string directory, base::Fd inotify)
    : loop_(loop),
      directory_(std::move(directory)),
      inotify_(std::move(inotify)),
      settle_(loop, [this] { Apply(); }) {}

Watch::~Watch() { loop_.Remove(inotify_.get(), this); }

base::Status Watch::Start(
    std::function<void(std::vector<FileChange>)> changed) {
  changed_ = std::move(changed);
  NODEWARD_TRY(loop_.Add(inotify_.get(), EPOLLIN, this));
  if (FollowDirectory()) Rescan();
  // At the start nothing can be served without what lies at the top.
  for (const model::Problem& problem : problems_) {
    if (problem.file == directory_) {
      return absl::FailedPreconditionError(problem.reason);
    }
  }
  changed_(ReadDirty());
  return base::OkStatus();
}

// ---- events ----

void Watch::OnEvents(uint32_t) { Drain(); }

void Watch::Wake() {
  if (!settle_.pending() || lost_) settle_.Set(kSettle);
}

void Watch::Drain() {
  alignas(inotify_event) char buffer[16384];
  while (true) {
    const ssize_t size = read(inotify_.get(), buffer, sizeof buffer);
    if (size <= 0) return;  // EAGAIN: drained
    for (ssize_t at = 0; at < size;) {
      inotify_event event;
      std::memcpy(&event, buffer + at, sizeof event);
      const char* const name = buffer + at + sizeof event;
      Note(event, event.len > 0 ? std::string_view(name) : "");
      at += static_cast<ssize_t>(sizeof event + event.len);
    }
  }
}

void Watch::Note(const inotify_event& event, std::string_view name) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) {
    rescan_ = overflowed_ = true;
    return Wake();
  }
  const auto found = watches_.find(event.wd);
  if (found == watches_.end()) return;
  const Watched watched = found->second;
  if ((event.mask & IN_IGNORED) != 0) {
    watches_.erase(found);
    return;
  }
  if (!watched.folder) return NoteTarget(watched, event.mask);
  constexpr uint32_t kEntries =
      IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE;
  const bool structural =
      (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0 ||
      ((event.mask & IN_ISDIR) != 0 && (event.mask & kEntries) != 0);
  // Of other names nothing is known: a link to a folder is one, "..data" of a
  // ConfigMap another. Hidden ones but those are editors' own.
  const bool foreign = !IsManifestName(name) && (event.mask & kEntries) != 0 &&
                       (!name.starts_with('.') || name.starts_with(".."));
  // A change of owner or mode may bar what was readable, and the reverse.
  const bool attributes = (event.mask & IN_ATTRIB) != 0 &&
                          ((event.mask & IN_ISDIR) != 0 || name.empty());
  if (structural || foreign || attributes) {
    rescan_ = true;
    return Wake();
  }
  if (!IsManifestName(name)) return;
  NoteManifest(watched.relative.empty()
                   ? std::string(name)
                   : base::StrCat(watched.relative, "/", name),
               event.mask);
}

void Watch::NoteWriting(const std::string& relative, File* file) {
  if (file->writing != 0) return;
  struct stat info {};
  if (stat(PathOf(relative).c_str(), &info) == 0) file->writing = info.st_ino;
}

// Several links may lead to one file, which has one watch.
void Watch::NoteTarget(const Watched& watched, uint32_t mask) {
  const auto found = files_.find(watched.relative);
  if (found == files_.end()) return;
  const FileId id = found->second.id;
  for (auto& [relative, file] : files_) {
    if (file.id != id) continue;
    if ((mask & IN_MODIFY) != 0) NoteWriting(relative, &file);
    if ((mask & IN_CLOSE_WRITE) != 0) {
      file.writing = 0;
      file.dirty = true;
      Wake();
    }
  }
  if ((mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB)) != 0) {
    rescan_ = true;
    Wake();
  }
}

void Watch::NoteManifest(const std::string& relative, uint32_t mask) {
  File& file = files_[relative];
  if ((mask & IN_MODIFY) != 0) return NoteWriting(relative, &file);
  if ((mask & IN_CREATE) != 0) {
    struct stat info {};
    const bool linked = lstat(PathOf(relative).c_str(), &info) == 0 &&
                        (S_ISLNK(info.st_mode) || info.st_nlink > 1);
    // A link is complete as it appears. A file is about to be written; if it
    // takes the place of one that is known, that one stays until then.
    if (file.known && !linked) {
      NoteWriting(relative, &file);
    } else {
      rescan_ = true;
      file.dirty = true;
    }
  } else {
    // Closed after writing, moved, unlinked, or its mode or owner changed.
    if ((mask & IN_ATTRIB) == 0) file.writing = 0;
    if ((mask & IN_MOVED_TO) != 0) rescan_ = true;  // it may be a link
    file.dirty = true;
  }
  Wake();
}

// ---- the state of the directory ----

base::Status Watch::OnFolder(const std::string& relative,
                             const std::string& path) {
  const int watch =
      inotify_add_watch(inotify_.get(), path.c_str(), kFolderEvents);
  if (watch < 0) return WatchError(errno, path);
  watches_[watch] = {relative, true, scan_};
  return base::OkStatus();
}

// Is the directory there, and still the one that is watched? Another one by
// its name is taken in its stead.
bool Watch::FollowDirectory() {
  struct stat info {};
  base::Status status = CheckFolder(directory_);
  if (status.ok() && stat(directory_.c_str(), &info) != 0) {
    status = base::ErrnoStatus(errno, "stat " + directory_);
  }
  if (!status.ok()) {
    problems_ = {{directory_, 0, "",
                  base::StrCat(base::FromAbsl(status.message()),
                               "; the last good state stays in force"),
                  false}};
    return false;
  }
  const FileId id{info.st_dev, info.st_ino, false};
  if (directory_id_ != id || lost_) rescan_ = true;
  directory_id_ = id;
  return true;
}

void Watch::Rescan() {
  const bool reread = std::exchange(overflowed_, false);
  rescan_ = false;
  ++scan_;
  const Listing listing = ListFolder(directory_, this);
  problems_.clear();
  for (const auto& [relative, reason] : listing.barred) {
    problems_.push_back(
        {relative.empty() ? directory_ : relative, 0, "", reason, false});
  }
  for (const auto& [relative, id] : listing.files) {
    File& file = files_[relative];
    // Only a file that is another one now: what happens inside of one, events
    // tell, and it may be half written at this moment.
    if (!file.known || reread || file.id != id) file.dirty = true;
    if (reread || file.writing != id.inode) file.writing = 0;
    file.id = id;
    if (id.link) WatchTarget(relative);
  }
  for (auto& [relative, file] : files_) {
    if (listing.files.contains(relative)) continue;
    // What lies in a folder that cannot be read any more stays as it was.
    bool barred = false;
    for (const auto& [folder, reason] : listing.barred) {
      barred |= folder.empty() || relative.starts_with(folder + "/");
    }
    if (barred) continue;
    file.dirty = true;
    file.writing = 0;
  }
  DropStaleWatches();
}

// In the folder where a link lies nothing tells that its target changed.
void Watch::WatchTarget(const std::string& relative) {
  const int watch = inotify_add_watch(inotify_.get(), PathOf(relative).c_str(),
                                      kTargetEvents);
  if (watch < 0) {
    problems_.push_back({relative, 0, "",
                         std::string(WatchError(errno, relative).message()),
                         false});
    return;
  }
  watches_[watch] = {relative, false, scan_};
}

void Watch::DropStaleWatches() {
  std::vector<int> stale;
  for (const auto& [watch, watched] : watches_) {
    if (watched.scan != scan_) stale.push_back(watch);
  }
  for (const int watch : stale) {
    inotify_rm_watch(inotify_.get(), watch);
    watches_.erase(watch);
  }
}

// ---- applying ----

void Watch::Apply() {
  Drain();
  const auto told = [this] {
    std::string text;
    for (const model::Problem& problem : problems_) text += problem.ToString();
    return text;
  };
  const std::string before = told();
  lost_ = !FollowDirectory();
  if (lost_) {
    settle_.Set(kRetry);
    if (told() != before) changed_({});
    return;
  }
  if (rescan_) Rescan();
  std::vector<FileChange> changes = ReadDirty();
  if (!changes.empty() || told() != before) changed_(std::move(changes));
}

std::vector<FileChange> Watch::ReadDirty() {
  std::vector<FileChange> changes;
  for (auto& [relative, file] : files_) {
    if (!file.dirty || file.writing != 0) continue;
    file.dirty = false;
    FileChange change;
    change.file = relative;
    auto text = ReadTrusted(PathOf(relative));
    if (text.ok()) {
      change.text = *std::move(text);
    } else if (absl::IsNotFound(text.status())) {
      change.kind = FileChange::Kind::kGone;
    } else {
      change.kind = FileChange::Kind::kUnreadable;
      change.error = text.status();
    }
    changes.push_back(std::move(change));
  }
  // Whoever began to write while we were reading has left an event by now.
  Drain();
  std::vector<FileChange> complete;
  for (FileChange& change : changes) {
    const auto found = files_.find(change.file);
    if (found->second.writing != 0 || found->second.dirty) continue;
    if (change.kind == FileChange::Kind::kGone) {
      const bool known = found->second.known;
      files_.erase(found);
      if (!known) continue;
    } else {
      found->second.known = true;
    }
    complete.push_back(std::move(change));
  }
  return complete;
}

}  // namespace nodeward::discovery
