// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hbone/workshop.h"
#include "io/loop.h"

namespace nodeward::hbone {

class Pod;
class Worker;

// One worker's watch on a listening socket that all workers share: the kernel
// wakes one of them for a connection (EPOLLEXCLUSIVE).
class Listener final : public io::Watcher {
 public:
  enum class Kind { kOutbound, kInboundPlain, kInboundTunnel };

  Listener(Worker* worker, Pod* pod, int fd, Kind kind);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void Start();

 private:
  void OnEvents(uint32_t events) override;
  void Stop();

  Worker* const worker_;
  Pod* const pod_;
  const int fd_;
  const Kind kind_;
  bool watching_ = false;
  io::Timer pause_;
};

}  // namespace nodeward::hbone
