// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/fd.h"
#include "base/status.h"
#include "io/loop.h"

namespace nodeward::capture {

// Tells when a namespace's file may have come or gone, by watching the folders
// they lie in. Belongs to the loop's thread.
class NetnsWatch final : private io::Watcher {
 public:
  // `changed` is called on the loop, once for a burst of changes.
  static base::StatusOr<std::unique_ptr<NetnsWatch>> Create(
      io::Loop& loop, std::function<void()> changed);
  ~NetnsWatch();

  // Watches exactly the folders of `paths`. One that does not exist, or where
  // nothing can be watched (/proc), is left out: the caller looks from time to
  // time as well.
  void Watch(const std::set<std::string>& paths);
  // Would a change at `path` be told?
  bool Covers(const std::string& path) const;

 private:
  NetnsWatch(io::Loop& loop, base::Fd inotify, std::function<void()> changed);
  void OnEvents(uint32_t events) override;

  io::Loop& loop_;
  base::Fd inotify_;
  std::function<void()> changed_;
  std::map<std::string, int> folders_;  // -> watch descriptor
};

}  // namespace nodeward::capture
