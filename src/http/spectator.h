// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace nodeward::http {

// Of a request; valid during the call.
struct SeenRequest {
  std::string_view method;
  std::string_view authority;  // of the target, :authority or Host
  std::string_view path;       // with its query, as sent
};

struct SeenEnd {
  uint64_t length = 0;             // of the response's body
  std::optional<int> grpc_status;  // of its trailers
  std::string_view reset;          // why it is not whole; empty: it is
};

// Told of each exchange of request and response: its beginning, at most one
// response, its end. Exchanges are numbered from 0 as they begin; several may
// be under way.
class SpectatorUser {
 public:
  virtual void OnRequest(uint64_t exchange, const SeenRequest& request) = 0;
  virtual void OnResponse(uint64_t exchange, int status) = 0;
  virtual void OnExchangeEnd(uint64_t exchange, const SeenEnd& end) = 0;
  // What passes is no HTTP that it can read, or none any more. The last call.
  virtual void OnOpaque() = 0;

 protected:
  ~SpectatorUser() = default;
};

// One protocol of a connection as it is read from beside.
class Sight {
 public:
  virtual ~Sight() = default;
  // False: it cannot be read (any more).
  virtual bool FromClient(base::ByteSpan bytes) = 0;
  virtual bool FromServer(base::ByteSpan bytes) = 0;
  // No byte will come; what is under way ends for `reason`, or in order (empty)
  // where the end of the connection is the end of a response.
  virtual void End(std::string_view reason) = 0;
};
// Both number exchanges with *next.
std::unique_ptr<Sight> MakeHttp1Sight(SpectatorUser* user, uint64_t* next);
// From behind the client's preface on.
std::unique_ptr<Sight> MakeHttp2Sight(SpectatorUser* user, uint64_t* next);

// Looks on while a client and a server speak, tells what it understands of
// HTTP/1 and HTTP/2 (prior knowledge), and has no say in anything: the bytes
// are somebody else's. Holds a head at most in each direction, and for HTTP/2
// two tables of 64 KiB and 1024 streams.
class Spectator {
 public:
  explicit Spectator(SpectatorUser* user) : user_(user) {}

  void FromClient(base::ByteSpan bytes);
  void FromServer(base::ByteSpan bytes);
  // The connection has ended, for `reason` or in order. One that had no request
  // is opaque.
  void End(std::string_view reason);
  // Nobody listens any more: nothing is told, nothing held.
  void Leave();

 private:
  void Decide(base::ByteSpan bytes);
  void GiveUp();

  SpectatorUser* const user_;
  std::unique_ptr<Sight> sight_;  // null: not decided
  size_t matched_ = 0;            // of HTTP/2's preface
  std::string early_;  // what the server said before the client's preface
  uint64_t next_ = 0;
  bool over_ = false;
};

}  // namespace nodeward::http
