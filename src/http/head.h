// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "http/session.h"

namespace nodeward::http {

// The heads of HTTP/1 messages larger than this, or with more header fields
// than kMaxFields, are refused.
inline constexpr size_t kMaxHeadBytes = 64 << 10;
inline constexpr size_t kMaxFields = 100;

struct Field {
  std::string_view name;   // as sent
  std::string_view key;    // in lower case
  std::string_view value;  // without white space around it
};

// How the end of a body is found.
enum class Framing { kNone, kLength, kChunked, kUntilEnd };

enum class Upgrade { kNone, kWebSocket, kH2c, kOther };

// The head of a request that can be understood in one way only. Its texts stay
// as long as it does.
class RequestHead {
 public:
  // `text` ends with the empty line. An error: what a stricter or a laxer
  // reader might take for something else (answer 400 and close), or nothing
  // that HTTP/1.0 or 1.1 knows.
  static base::StatusOr<RequestHead> Parse(std::string_view text);

  // Of HTTP/2, pseudo-fields first, after RFC 9113's own checks of their form.
  static base::StatusOr<RequestHead> FromStream(std::span<const Header> fields);

  RequestHead(RequestHead&&) = default;
  RequestHead& operator=(RequestHead&&) = default;

  std::string_view method() const { return method_; }
  // Of the target when it has one, else of Host; may be empty in HTTP/1.0.
  const std::string& host() const { return host_; }
  // Begins with '/', or is "*". CONNECT has none. As sent, until set_path.
  const std::string& path() const { return path_; }
  void set_path(std::string path) { path_ = std::move(path); }
  const std::vector<Field>& fields() const { return fields_; }
  Framing framing() const { return framing_; }
  uint64_t length() const { return length_; }  // kLength
  // The client wants the connection to end after this.
  bool last() const { return last_; }
  bool expects_continue() const { return expects_continue_; }
  Upgrade upgrade() const { return upgrade_; }

  // The head as it goes to the application: XFCC is `client_cert`, or absent
  // when that is empty; an upgrade other than to WebSocket is not asked for;
  // path and Host as above.
  std::string Rewrite(std::string_view client_cert) const;
  // The same for HTTP/2. REQUIRES: it came from FromStream.
  std::vector<Header> StreamFields(std::string_view client_cert) const;
  // By its content type; such a client wants its errors in the same way.
  bool is_grpc() const;

 private:
  RequestHead() = default;
  base::Status TakePseudoField(const Header& field);
  base::Status TakeStreamField(const Field& field);
  base::Status Read();
  base::Status ReadTarget(std::string_view target);
  base::Status ReadHost();
  base::Status ReadFraming();
  void ReadConnection();
  std::string ConnectionValue(std::string_view value) const;
  bool MustGo(const Field& field) const;

  // Views point into it; a vector does not move its bytes when it is moved.
  std::vector<char> text_;
  std::vector<char> lower_;
  std::string_view method_;
  std::string_view scheme_;  // HTTP/2 only
  int version_ = 11;
  std::vector<Field> fields_;
  std::string host_;
  std::string path_;
  bool absolute_ = false;
  Framing framing_ = Framing::kNone;
  uint64_t length_ = 0;
  bool last_ = false;
  bool expects_continue_ = false;
  Upgrade upgrade_ = Upgrade::kNone;
};

// May a request have it behind its body? Not what only heads are trusted for.
bool MayBeTrailer(std::string_view key);

// What of a response's head tells where it ends.
struct ResponseHead {
  int status = 0;
  Framing framing = Framing::kNone;
  uint64_t length = 0;
  bool websocket = false;  // 101 to it

  // `text` ends with the empty line; `to_head`: it answers HEAD.
  static base::StatusOr<ResponseHead> Parse(std::string_view text,
                                            bool to_head);
};

}  // namespace nodeward::http
