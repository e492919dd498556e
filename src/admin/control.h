// SPDX-License-Identifier: Apache-2.0
//
// admin: exporters and the control socket. How operators and the command line
// look at a running agent. Shows what others know; decides and changes nothing.
// ControlServer runs on the control loop; an HttpServer has a thread of its
// own and reads only what its callbacks may give to any thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/status.h"
#include "io/loop.h"

namespace nodeward::admin {

// The protocol of the control socket: a connection carries one request and one
// reply, each one line of JSON.
//
//   {"command":"edges","args":{"namespace":"full"}}
//   {"ok":true,"result":…}     or     {"ok":false,"error":"…"}
class ControlServer final : private io::Watcher {
 public:
  static constexpr size_t kMaxRequestBytes = 64 * 1024;
  static constexpr size_t kMaxReplyBytes = 16 * 1024 * 1024;
  static constexpr size_t kMaxClients = 32;

  // Answers one command, on the loop. An error's message reaches the client.
  using Handler =
      std::function<base::StatusOr<base::Json>(const base::Json& args)>;
  struct Options {
    // From accept to the last byte of the reply.
    absl::Duration deadline = absl::Seconds(10);
    // Besides root, who may ask.
    uid_t allowed_user;  // Listen's caller by default
    Options();
  };

  // Listens at `path`, mode 0600, in the place of a socket that a former agent
  // left there: the caller holds the run directory's lock.
  static base::StatusOr<std::unique_ptr<ControlServer>> Listen(
      io::Loop& loop, const std::string& path, Options options = Options());
  // Removes the socket; clients are cut off.
  ~ControlServer();

  // Before or after clients connect; replaces a former handler of that name.
  void Handle(const std::string& command, Handler handler);

 private:
  class Client;
  ControlServer(io::Loop& loop, std::string path, base::Fd listener,
                Options options);
  void OnEvents(uint32_t events) override;
  std::string Answer(const std::string& request);
  void Drop(Client* client);

  io::Loop& loop_;
  std::string path_;
  base::Fd listener_;
  Options options_;
  std::map<std::string, Handler> handlers_;
  std::map<Client*, std::unique_ptr<Client>> clients_;
};

// Asks the agent whose socket lies in `run_dir` and waits for the answer, the
// result of the command. Errors: no agent there (kUnavailable), the agent's own
// error (kFailedPrecondition), and what broke on the way.
base::StatusOr<base::Json> AskAgent(const std::string& run_dir,
                                    const std::string& command,
                                    const base::Json& args,
                                    absl::Duration timeout = absl::Seconds(15));

}  // namespace nodeward::admin
