// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/status.h"
#include "io/loop.h"

namespace nodeward::kube {

// Asks one HTTPS server, which must prove itself by the roots in `ca`, with a
// bearer token of ours. All requests share a connection (HTTP/2), which is
// asked for a sign of life when it has been silent, and dropped with all that
// is under way on it when none comes. No proxy, no redirect: the token goes to
// that server alone. Belongs to the loop's thread.
class HttpClient {
 public:
  struct Options {
    std::string server;  // "https://10.96.0.1:443"
    std::string ca;      // PEM file
    std::string token;   // file, read for each request: it is renewed in place
    // Silence after which a sign of life is asked for, and how long it may
    // take.
    absl::Duration silence = absl::Seconds(30);
    absl::Duration patience = absl::Seconds(15);
  };
  struct Request {
    std::string method = "GET";
    std::string target;  // path and query
    std::string body = {};
    std::string content_type = {};
    absl::Duration deadline = absl::Seconds(15);  // for the whole answer
  };
  struct End {
    base::Status transport;  // not OK: it broke off, or never came
    int status = 0;          // 0: no answer
    absl::Duration retry_after;
  };
  // Told of one answer; may start requests, but not cancel in OnHead or OnBody.
  class Receiver {
   public:
    virtual ~Receiver() = default;
    virtual void OnHead(int status) = 0;
    // False: no more of it; OnEnd follows.
    virtual bool OnBody(int status, std::string_view bytes) = 0;
    // The last call.
    virtual void OnEnd(const End& end) = 0;
  };
  struct Answer {
    base::Status transport;
    int status = 0;
    std::string body;  // at most 4 MiB
  };

  static base::StatusOr<std::unique_ptr<HttpClient>> Create(io::Loop& loop,
                                                            Options options);
  ~HttpClient();  // requests under way are dropped, their receivers untold

  // `receiver` lives until OnEnd or Cancel. OnEnd is never called from inside.
  uint64_t Send(const Request& request, Receiver* receiver);
  void Cancel(uint64_t id);
  // The whole answer at once.
  void Ask(const Request& request, std::function<void(Answer)> done);

  const std::string& server() const { return options_.server; }

 private:
  class Multi;
  class Transfer;
  class Collector;

  HttpClient(io::Loop& loop, Options options);
  base::Status Connect();
  uint64_t Send(const Request& request, Receiver* receiver,
                std::unique_ptr<Receiver> owned);
  void Finish(uint64_t id, const End& end);
  void Heard();
  void Probe();
  void Reset();

  io::Loop& loop_;
  const Options options_;
  std::unique_ptr<Multi> multi_;
  std::map<uint64_t, std::unique_ptr<Transfer>> transfers_;
  uint64_t next_id_ = 1;
  absl::Duration heard_;  // the loop's time of the last byte
  bool probing_ = false;
  io::Timer probe_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::kube
