// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>

#include "io/loop.h"
#include "kube/http_client.h"
#include "kube/reflector.h"

namespace nodeward::kube {

// Follows one resource for as long as it lives.
class ResourceWatch final : private HttpClient::Receiver {
 public:
  // `changed` is called after something was told of or a problem came or went,
  // `answered` when an answer begins. `loop`, `client` and `sink` outlive this.
  ResourceWatch(
      io::Loop& loop, HttpClient* client, Resource resource, ObjectSink* sink,
      std::function<double()> random, std::function<void()> changed,
      std::function<void()> answered = [] {});
  ~ResourceWatch() override;

  void Start();
  // The server answers others: if this waits because nobody answered, it asks
  // now.
  void Hurry();
  const Reflector& state() const { return reflector_; }

 private:
  void Take(const Reflector::Step& step);
  void Send();
  void OnHead(int status) override;
  bool OnBody(int status, std::string_view bytes) override;
  void OnEnd(const HttpClient::End& end) override;

  HttpClient* const client_;
  Reflector reflector_;
  const std::function<void()> changed_;
  const std::function<void()> answered_;
  Reflector::Step step_;
  uint64_t request_ = 0;  // 0: none under way
  io::Timer timer_;
};

}  // namespace nodeward::kube
