// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "capture/enroller.h"

namespace nodeward::capture {

// Stands for the engine: keeps what it is given until it is told to let go, and
// answers when the test says so (or at once). Thread-safe.
class FakeSink : public PodSink {
 public:
  struct Pod {
    std::shared_ptr<io::PodNetwork> network;
    Listeners listeners;
  };

  void Add(const std::string& uid, std::shared_ptr<io::PodNetwork> network,
           Listeners listeners) override {
    base::MutexLock lock(&mutex_);
    calls.push_back("Add " + uid);
    pods[uid] = {std::move(network), std::move(listeners)};
  }
  void Drain(const std::string& uid, std::function<void()> done) override {
    Part("Drain ", uid, std::move(done), !hold_drains);
  }
  void Kill(const std::string& uid, std::function<void()> done) override {
    Part("Kill ", uid, std::move(done), !hold_kills);
  }

  bool Has(const std::string& uid) const {
    base::MutexLock lock(&mutex_);
    return pods.contains(uid);
  }
  Pod* Find(const std::string& uid) {
    base::MutexLock lock(&mutex_);
    const auto found = pods.find(uid);
    return found == pods.end() ? nullptr : &found->second;
  }
  std::vector<std::string> Calls() const {
    base::MutexLock lock(&mutex_);
    return calls;
  }
  // Answers what waits.
  void Answer() {
    std::vector<std::function<void()>> due;
    {
      base::MutexLock lock(&mutex_);
      due.swap(waiting);
    }
    for (const auto& done : due) done();
  }

  bool hold_drains = false;
  bool hold_kills = false;

 private:
  void Part(const std::string& what, const std::string& uid,
            std::function<void()> done, bool at_once) {
    Pod pod;
    {
      base::MutexLock lock(&mutex_);
      calls.push_back(what + uid);
      const auto found = pods.find(uid);
      if (found != pods.end()) {
        pod = std::move(found->second);
        pods.erase(found);
      }
      if (!at_once) waiting.push_back(std::move(done));
    }
    pod = {};
    if (at_once) done();
  }

  mutable base::Mutex mutex_;
  std::map<std::string, Pod> pods;
  std::vector<std::string> calls;
  std::vector<std::function<void()>> waiting;
};

}  // namespace nodeward::capture
