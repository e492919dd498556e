// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "io/loop.h"
#include "kube/http_client.h"
#include "kube/mirror.h"
#include "model/volume.h"

namespace nodeward::kube {

// Follows ConfigMaps and Secrets, each by its name alone, so that a Role which
// names them is enough and nothing else is ever read. On the loop's thread.
class FileWatches {
 public:
  // `changed` is called when something was told or a problem came or went. All
  // others outlive this; `random` gives 0 to 1.
  FileWatches(io::Loop& loop, HttpClient* client, Mirror* mirror,
              std::function<double()> random, std::function<void()> changed);
  ~FileWatches();
  FileWatches(const FileWatches&) = delete;
  FileWatches& operator=(const FileWatches&) = delete;

  // From now on these, and what is not among them is forgotten. Not from
  // inside of `changed`.
  void Want(const std::set<model::FileSetKey>& wanted);

  // What is missing. For what the agent may not read: what to add to the
  // chart's values, a line for each namespace.
  std::vector<std::string> problems() const;

 private:
  class Entry;

  io::Loop& loop_;
  HttpClient* const client_;
  Mirror* const mirror_;
  const std::function<double()> random_;
  const std::function<void()> changed_;
  std::map<model::FileSetKey, std::unique_ptr<Entry>> entries_;
};

}  // namespace nodeward::kube
