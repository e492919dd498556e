// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "io/loop.h"

namespace nodeward::identity {

// Tells that something may have changed at one of some paths, each a file, a
// folder, or a link to either, there already or not: written and closed,
// renamed, removed, a link on the way turned (as Kubernetes turns "..data").
// Where the kernel does not tell (network file systems) the callback comes
// every ten seconds all the same, so it may come in vain.
class FileWatch final : private io::Watcher {
 public:
  // Calls `changed` on the loop, some 10 ms after the change.
  static base::StatusOr<std::unique_ptr<FileWatch>> Create(
      io::Loop& loop, std::vector<std::string> paths,
      std::function<void()> changed);
  ~FileWatch();

 private:
  FileWatch(io::Loop& loop, base::Fd inotify, std::vector<std::string> paths,
            std::function<void()> changed);
  void OnEvents(uint32_t events) override;
  void OnTimer();
  void Arm();
  void WatchPath(const std::string& path);
  void WatchFolder(std::string folder);

  io::Loop& loop_;
  base::Fd inotify_;
  const std::vector<std::string> paths_;
  const std::function<void()> changed_;
  std::vector<int> watches_;
  bool settling_ = false;
  io::Timer timer_;
};

}  // namespace nodeward::identity
