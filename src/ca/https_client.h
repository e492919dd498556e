// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status.h"

namespace nodeward::ca {

// Sends JSON to one HTTPS server, which must prove itself by the roots in
// `ca_file`, with a bearer token of ours. Keeps connections open between
// requests. Any thread; a request waits for its answer. No proxy, no redirect:
// the token goes to that server alone.
class HttpsClient {
 public:
  struct Options {
    std::string server;      // "https://10.96.0.1:443"
    std::string ca_file;     // PEM
    std::string token_file;  // read for each request: it is renewed in place
    absl::Duration deadline = absl::Seconds(5);
  };
  struct Answer {
    long status = 0;
    std::string body;  // at most 4 MiB
  };
  explicit HttpsClient(Options options);
  ~HttpsClient();

  // Unavailable when there is no answer; what an answer means is the caller's.
  base::StatusOr<Answer> Post(const std::string& path, const std::string& json);
  base::StatusOr<Answer> Get(const std::string& path);
  const std::string& server() const { return options_.server; }

 private:
  class Exchange;
  struct Request;
  base::StatusOr<Answer> Ask(const Request& request);
  std::unique_ptr<Exchange> Take();
  void Give(std::unique_ptr<Exchange> exchange);

  const Options options_;
  base::Mutex mutex_;
  std::vector<std::unique_ptr<Exchange>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace nodeward::ca
