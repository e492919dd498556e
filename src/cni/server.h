// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/fd.h"
#include "base/status.h"
#include "cni/question.h"
#include "io/loop.h"

namespace nodeward::cni {

// Where the plugin finds the agent: a unix socket of mode 0600 that answers to
// root alone. A connection carries one question and one answer. Control loop.
class Server final : private io::Watcher {
 public:
  static constexpr size_t kMaxClients = 1024;
  static constexpr size_t kMaxQuestionBytes = 64 * 1024;

  // To be called once, on the loop; after the asker or the server has gone it
  // does nothing.
  using Reply = std::function<void(const Answer&)>;
  using Handler = std::function<void(const Question&, Reply)>;
  struct Options {
    // From accept to the whole question, and from the answer to its last byte.
    absl::Duration patience = absl::Seconds(5);
  };

  // Listens at `path`, in the place of a socket that is left there.
  static base::StatusOr<std::unique_ptr<Server>> Listen(io::Loop& loop,
                                                        const std::string& path,
                                                        Handler handler,
                                                        Options options);
  // Removes the socket if it is still this one; who waits is cut off.
  ~Server();

 private:
  class Client;
  Server(io::Loop& loop, std::string path, base::Fd listener, Handler handler,
         Options options);
  void OnEvents(uint32_t events) override;
  void Take(uint64_t id, const std::string& line);
  void Drop(uint64_t id);

  io::Loop& loop_;
  const std::string path_;
  base::Fd listener_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  const Handler handler_;
  const Options options_;
  uint64_t next_ = 1;
  std::map<uint64_t, std::shared_ptr<Client>> clients_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::cni
