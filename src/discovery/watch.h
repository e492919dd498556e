// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/inotify.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/fd.h"
#include "base/status.h"
#include "discovery/folder.h"
#include "io/loop.h"
#include "model/snapshot.h"

namespace nodeward::discovery {

// What became of one file, by its path below the directory.
struct FileChange {
  enum class Kind { kText, kGone, kUnreadable };
  std::string file;
  Kind kind = Kind::kText;
  std::string text;    // kText
  base::Status error;  // kUnreadable
};

// Watches the manifests below a directory with inotify. Changes are what a
// writer has finished: a close after writing, a rename, an unlink, a link. A
// file that is open and half written is left as it was, also when it has just
// taken the place of another one that an editor moved away.
class Watch final : public io::Watcher, private FolderVisitor {
 public:
  // The directory exists and only root can change it, else an error.
  static base::StatusOr<std::unique_ptr<Watch>> Create(io::Loop& loop,
                                                       std::string directory);
  ~Watch();

  // Calls `changed` with all files before it returns, and on the loop with
  // those that changed, some 10 ms after they did. An empty list: problems()
  // changed.
  base::Status Start(std::function<void(std::vector<FileChange>)> changed);

  // Folders that cannot be read; the directory itself when it went away (then
  // the last state stays, until it is there again).
  const std::vector<model::Problem>& problems() const { return problems_; }

 private:
  struct File {
    FileId id;
    bool dirty = false;  // to be read, or found gone
    bool known = false;  // told of before
    // Somebody has begun to write to this inode and not closed it; 0: nobody.
    ino_t writing = 0;
  };
  struct Watched {
    std::string relative;
    bool folder = true;  // else: what the link `relative` leads to
    uint64_t scan = 0;   // the last that found it
  };

  Watch(io::Loop& loop, std::string directory, base::Fd inotify);
  void OnEvents(uint32_t events) override;
  base::Status OnFolder(const std::string& relative,
                        const std::string& path) override;
  void Drain();
  void Note(const inotify_event& event, std::string_view name);
  void NoteTarget(const Watched& watched, uint32_t mask);
  void NoteWriting(const std::string& relative, File* file);
  void NoteManifest(const std::string& relative, uint32_t mask);
  void Wake();
  void Apply();
  bool FollowDirectory();
  void Rescan();
  void WatchTarget(const std::string& relative);
  void DropStaleWatches();
  std::vector<FileChange> ReadDirty();
  std::string PathOf(const std::string& relative) const {
    return directory_ + "/" + relative;
  }

  io::Loop& loop_;
  const std::string directory_;
  base::Fd inotify_;
  FileId directory_id_;
  std::function<void(std::vector<FileChange>)> changed_;
  std::map<std::string, File> files_;
  absl::flat_hash_map<int, Watched> watches_;
  std::vector<model::Problem> problems_;
  uint64_t scan_ = 0;
  bool rescan_ = true;
  bool overflowed_ = false;
  bool lost_ = false;  // the directory is not there
  io::Timer settle_;
};

}  // namespace nodeward::discovery
