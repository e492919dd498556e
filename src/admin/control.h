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

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/status.h"
#include "io/loop.h"

namespace nodeward::admin {

// Lines for one client of a streaming command, on the loop. Destroyed when the
// client has gone.
class LineSource {
 public:
  virtual ~LineSource() = default;
  // Puts what there is now behind *out, as whole lines, some kStreamBytes of
  // them at most. Called again and again, as fast as the client reads and no
  // faster than kStreamInterval.
  virtual void Fill(std::string* out) = 0;
  // No more is wanted: after this Fill gives what is left and then nothing.
  virtual void Stop() = 0;
  // The last line, when Fill gives nothing any more.
  virtual std::string LastLine() = 0;
};

// The protocol of the control socket: a connection carries one request and one
// reply, each one line of JSON.
//
//   {"command":"edges","args":{"namespace":"full"}}
//   {"ok":true,"result":…}     or     {"ok":false,"error":"…"}
//
// A streaming command is answered by {"ok":true,"stream":true} and by lines of
// its own until the client ends its direction; then comes the last line and the
// end. An end without a last line is the agent's.
class ControlServer final : private io::Watcher {
 public:
  static constexpr size_t kMaxRequestBytes = 64 * 1024;
  static constexpr size_t kMaxReplyBytes = 16 * 1024 * 1024;
  static constexpr size_t kMaxClients = 32;
  static constexpr size_t kStreamBytes = 64 * 1024;
  static constexpr absl::Duration kStreamInterval = absl::Milliseconds(20);

  // Answers one command, on the loop. An error's message reaches the client.
  using Handler =
      std::function<base::StatusOr<base::Json>(const base::Json& args)>;
  // Takes the whole connection, which is non-blocking, after its request.
  using ConnectionHandler =
      std::function<void(base::Fd connection, const base::Json& args)>;
  using StreamHandler =
      std::function<base::StatusOr<std::unique_ptr<LineSource>>(
          const base::Json& args)>;
  struct Options {
    // From accept to the last byte of the reply, or to the begin of a stream.
    absl::Duration deadline = absl::Seconds(10);
    // Besides root, who may ask.
    uid_t allowed_user;  // Listen's caller by default
    Options();
  };

  // Listens at `path`, mode 0600, in the place of a socket that a former agent
  // left there: the caller holds the run directory's lock.
  static base::StatusOr<std::unique_ptr<ControlServer>> Listen(
      io::Loop& loop, const std::string& path, Options options = Options());
  // The same on a socket that another agent hands over, listening at `path`.
  static base::StatusOr<std::unique_ptr<ControlServer>> Adopt(
      io::Loop& loop, const std::string& path, base::Fd listener,
      Options options = Options());
  // Removes the socket; clients are cut off.
  ~ControlServer();
  int listener() const { return listener_.get(); }
  // The socket is another agent's from now on: it is not removed at the end.
  void LeaveSocket() { path_.clear(); }

  // Before or after clients connect; replaces a former handler of that name.
  void Handle(const std::string& command, Handler handler);
  void HandleStream(const std::string& command, StreamHandler handler);
  void HandleConnection(const std::string& command, ConnectionHandler handler);

 private:
  class Client;
  ControlServer(io::Loop& loop, std::string path, base::Fd listener,
                Options options);
  void OnEvents(uint32_t events) override;
  struct Reply {
    std::string text;
    std::unique_ptr<LineSource> stream;  // what follows; may be null
  };
  // True: the request is for a connection handler, which has it now.
  bool GiveAway(const std::string& request,
                absl::FunctionRef<base::Fd()> connection);
  Reply Answer(const std::string& request);
  void Drop(Client* client);

  io::Loop& loop_;
  std::string path_;
  base::Fd listener_;
  Options options_;
  std::map<std::string, Handler> handlers_;
  std::map<std::string, StreamHandler> stream_handlers_;
  std::map<std::string, ConnectionHandler> connection_handlers_;
  std::map<Client*, std::unique_ptr<Client>> clients_;
};

// A connection to the control socket of the agent in `run_dir`. Reads and
// writes that block give up after `timeout`. Errors as AskAgent's.
base::StatusOr<base::Fd> ConnectAgent(const std::string& run_dir,
                                      absl::Duration timeout);

// Sends a streaming command and gives every line of the answer to `line`, until
// that returns false, or until `stop_fd` (-1: none) is readable: then what the
// agent still has to say, too, as far as it does so within ten seconds. Errors:
// as AskAgent's; kUnavailable also when the agent ends before it was asked to.
base::Status FollowAgent(const std::string& run_dir, const std::string& command,
                         const base::Json& args, int stop_fd,
                         const std::function<bool(const base::Json&)>& line);

// Asks the agent whose socket lies in `run_dir` and waits for the answer, the
// result of the command. Errors: no agent there (kUnavailable), the agent's own
// error (kFailedPrecondition), and what broke on the way.
base::StatusOr<base::Json> AskAgent(const std::string& run_dir,
                                    const std::string& command,
                                    const base::Json& args,
                                    absl::Duration timeout = absl::Seconds(15));

}  // namespace nodeward::admin
