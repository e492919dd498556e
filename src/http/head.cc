// SPDX-License-Identifier: Apache-2.0
#include "http/head.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <utility>

#include "base/text.h"
#include "http/beast_head.h"

namespace nodeward::http {
namespace {

constexpr std::string_view kXfcc = "x-forwarded-client-cert";

base::Status Bad(std::string_view why) {
  return absl::InvalidArgumentError(base::StrCat("read HTTP request: ", why));
}

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return Lower(a) == b; });
}

// Programs that see names as variables (CGI, WSGI, PHP) take other characters
// for '-'.
bool ReadsAs(std::string_view key, std::string_view name) {
  return std::equal(
      key.begin(), key.end(), name.begin(), name.end(), [](char a, char b) {
        const bool plain = (a >= 'a' && a <= 'z') || (a >= '0' && a <= '9');
        return (plain ? a : '-') == b;
      });
}

std::string_view Trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Calls `visit` with each element of a comma-separated list that is not empty.
template <typename Visit>
void ForEachElement(std::string_view list, const Visit& visit) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view element = Trim(list.substr(0, comma));
    list = comma == std::string_view::npos ? std::string_view()
                                           : list.substr(comma + 1);
    if (!element.empty()) visit(element);
  }
}

// What readers disagree about, before anybody reads: line ends other than
// CRLF, folded lines, control characters.
base::Status CheckBytes(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\r') {
      if (i + 1 == text.size() || text[i + 1] != '\n') return Bad("a bare CR");
      ++i;
      if (i + 1 < text.size() && (text[i + 1] == ' ' || text[i + 1] == '\t')) {
        return Bad("a folded line");
      }
    } else if (c == '\n') {
      return Bad("a bare LF");
    } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
      return Bad("a control character");
    }
  }
  return base::OkStatus();
}

// RFC 3986's host, with a port; no user, nothing that delimits.
bool IsAuthority(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte < 0x7f &&
           std::string_view("/?#@,\\\"<>^`{|}").find(c) ==
               std::string_view::npos;
  });
}

bool ReadsAsFraming(std::string_view key) {
  return ReadsAs(key, "transfer-encoding") || ReadsAs(key, "content-length");
}

bool IsOneOf(std::string_view text,
             std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

}  // namespace

base::StatusOr<RequestHead> RequestHead::Parse(std::string_view text) {
  NODEWARD_TRY(CheckBytes(text));
  RequestHead head;
  head.text_.assign(text.begin(), text.end());
  NODEWARD_TRY(head.Read());
  return head;
}

base::Status RequestHead::Read() {
  NODEWARD_ASSIGN(BeastHead lines,
                  ParseRequestLines({text_.data(), text_.size()}));
  if (lines.fields.size() > kMaxFields) return Bad("too many header fields");
  method_ = lines.method;
  version_ = lines.version;
  lower_.resize(text_.size());
  std::transform(text_.begin(), text_.end(), lower_.begin(), Lower);
  fields_.reserve(lines.fields.size());
  for (const auto& [name, value] : lines.fields) {
    const std::string_view key(lower_.data() + (name.data() - text_.data()),
                               name.size());
    fields_.push_back({name, key, value});
  }
  NODEWARD_TRY(ReadTarget(lines.target));
  NODEWARD_TRY(ReadHost());
  NODEWARD_TRY(ReadFraming());
  ReadConnection();
  last_ = !lines.keep_alive;
  return base::OkStatus();
}

base::Status RequestHead::ReadTarget(std::string_view target) {
  if (method_ == "CONNECT") {
    if (target.empty() || !IsAuthority(target)) return Bad("a bad target");
    host_ = target;
    absolute_ = true;
    return base::OkStatus();
  }
  if (target.find('#') != std::string_view::npos) {
    return Bad("a fragment in the target");
  }
  if (target.starts_with('/') || (target == "*" && method_ == "OPTIONS")) {
    path_ = target;
    return base::OkStatus();
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!EqualsIgnoringCase(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const size_t end = std::min(target.find_first_of("/?"), target.size());
    host_ = target.substr(0, end);
    absolute_ = true;
    if (host_.empty() || !IsAuthority(host_)) return Bad("a bad target");
    path_ = target.substr(end);
    if (!path_.starts_with('/')) path_.insert(0, "/");
    return base::OkStatus();
  }
  return Bad("a bad target");
}

base::Status RequestHead::ReadHost() {
  int count = 0;
  for (const Field& field : fields_) {
    if (field.key != "host") continue;
    if (++count > 1) return Bad("two Host fields");
    if (!IsAuthority(field.value)) return Bad("a bad Host");
    // The target wins (RFC 9112 section 3.2.2).
    if (!absolute_) host_ = field.value;
  }
  if (count == 0 && version_ >= 11) return Bad("no Host");
  return base::OkStatus();
}

base::Status RequestHead::ReadFraming() {
  for (const Field& field : fields_) {
    const bool coding = field.key == "transfer-encoding";
    const bool length = field.key == "content-length";
    if (!coding && !length) {
      if (ReadsAsFraming(field.key)) {
        return Bad("a name that can be taken for a field of framing");
      }
      continue;
    }
    if (framing_ != Framing::kNone) {
      return Bad("more than one field that tells the body's length");
    }
    if (coding) {
      if (version_ < 11) return Bad("Transfer-Encoding in HTTP/1.0");
      if (!EqualsIgnoringCase(field.value, "chunked")) {
        return Bad("a Transfer-Encoding other than chunked");
      }
      framing_ = Framing::kChunked;
      continue;
    }
    const char* const end = field.value.data() + field.value.size();
    const auto read = std::from_chars(field.value.data(), end, length_);
    // The largest that a signed number holds, too.
    if (read.ec != std::errc() || read.ptr != end || field.value.size() > 18) {
      return Bad("a bad Content-Length");
    }
    framing_ = Framing::kLength;
  }
  return base::OkStatus();
}

void RequestHead::ReadConnection() {
  for (const Field& field : fields_) {
    if (field.key == "expect") {
      expects_continue_ = EqualsIgnoringCase(field.value, "100-continue");
    }
    if (field.key != "upgrade") continue;
    ForEachElement(field.value, [this](std::string_view element) {
      const Upgrade asked =
          EqualsIgnoringCase(element, "websocket") ? Upgrade::kWebSocket
          : EqualsIgnoringCase(element, "h2c")     ? Upgrade::kH2c
                                                   : Upgrade::kOther;
      upgrade_ = upgrade_ == Upgrade::kNone || upgrade_ == asked
                     ? asked
                     : Upgrade::kOther;
    });
  }
}

bool RequestHead::MustGo(const Field& field) const {
  if (ReadsAs(field.key, kXfcc)) return true;
  if (field.key == "http2-settings") return true;
  if (field.key == "upgrade") return upgrade_ != Upgrade::kWebSocket;
  return field.key == "host" && absolute_;
}

// A hop may drop what Connection names: not the field that we vouch for.
std::string RequestHead::ConnectionValue(std::string_view value) const {
  std::string kept;
  ForEachElement(value, [&](std::string_view element) {
    std::string key(element);
    std::transform(key.begin(), key.end(), key.begin(), Lower);
    if (ReadsAs(key, kXfcc) || key == "http2-settings" ||
        (key == "upgrade" && upgrade_ != Upgrade::kWebSocket)) {
      return;
    }
    base::StrAppend(&kept, kept.empty() ? "" : ", ", element);
  });
  return kept;
}

std::string RequestHead::Rewrite(std::string_view client_cert) const {
  std::string out;
  out.reserve(text_.size() + client_cert.size() + 64);
  base::StrAppend(&out, method_, " ", path_,
                  version_ == 11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
  const auto add = [&out](std::string_view name, std::string_view value) {
    base::StrAppend(&out, name, ": ", value, "\r\n");
  };
  if (absolute_) add("Host", host_);
  for (const Field& field : fields_) {
    if (MustGo(field)) continue;
    if (field.key != "connection") {
      add(field.name, field.value);
      continue;
    }
    const std::string kept = ConnectionValue(field.value);
    if (!kept.empty()) add(field.name, kept);
  }
  if (!client_cert.empty()) add("X-Forwarded-Client-Cert", client_cert);
  out += "\r\n";
  return out;
}

base::StatusOr<RequestHead> RequestHead::FromStream(
    std::span<const Header> fields) {
  RequestHead head;
  head.version_ = 20;
  size_t size = 0;
  for (const Header& field : fields) {
    size += field.name.size() + field.value.size();
  }
  // Views of it stay: it must not grow any more.
  head.text_.reserve(size);
  const auto keep = [&head](std::string_view text) {
    const size_t at = head.text_.size();
    head.text_.insert(head.text_.end(), text.begin(), text.end());
    return std::string_view(head.text_.data() + at, text.size());
  };
  for (const Header& field : fields) {
    if (field.name.starts_with(':')) {
      NODEWARD_TRY(head.TakePseudoField(field));
      if (field.name == ":method") head.method_ = keep(field.value);
      if (field.name == ":scheme") head.scheme_ = keep(field.value);
      continue;
    }
    const std::string_view name = keep(field.name);
    NODEWARD_TRY(head.TakeStreamField({name, name, keep(field.value)}));
  }
  const bool connect = head.method_ == "CONNECT";
  if (head.method_.empty() || head.host_.empty() || !IsAuthority(head.host_)) {
    return Bad("no method, or a bad authority");
  }
  if (connect != head.path_.empty() || connect != head.scheme_.empty()) {
    return Bad("no path, or one for CONNECT");
  }
  if (!connect && !head.path_.starts_with('/') &&
      !(head.path_ == "*" && head.method_ == "OPTIONS")) {
    return Bad("a bad path");
  }
  return head;
}

base::Status RequestHead::TakePseudoField(const Header& field) {
  const std::string_view value = field.value;
  if (field.name == ":path") {
    const bool bad = std::any_of(value.begin(), value.end(), [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return byte <= 0x20 || byte == 0x7f || byte == '#';
    });
    if (bad) return Bad("a bad path");
    path_ = value;
  } else if (field.name == ":authority") {
    host_ = value;
  } else if (field.name == ":scheme") {
    if (!IsOneOf(value, {"http", "https"})) return Bad("a bad scheme");
  } else if (field.name != ":method") {
    return Bad("an unknown pseudo-field");
  }
  return base::OkStatus();
}

base::Status RequestHead::TakeStreamField(const Field& field) {
  if (fields_.size() == kMaxFields) return Bad("too many header fields");
  if (field.key == "host") {
    if (host_.empty()) host_ = field.value;
    if (host_ != field.value) return Bad("an authority and another Host");
  } else if (IsOneOf(field.key, {"connection", "keep-alive", "upgrade",
                                 "proxy-connection"})) {
    return Bad("a field of one connection");
  } else if (ReadsAsFraming(field.key) && field.key != "content-length") {
    return Bad("a name that can be taken for a field of framing");
  }
  fields_.push_back(field);
  return base::OkStatus();
}

std::vector<Header> RequestHead::StreamFields(
    std::string_view client_cert) const {
  std::vector<Header> out;
  out.reserve(fields_.size() + 5);
  const auto add = [&out](std::string_view name, std::string_view value) {
    out.push_back({std::string(name), std::string(value)});
  };
  add(":method", method_);
  if (!scheme_.empty()) add(":scheme", scheme_);
  add(":authority", host_);
  if (!path_.empty()) add(":path", path_);
  for (const Field& field : fields_) {
    if (!MustGo(field) && field.key != "host") add(field.key, field.value);
  }
  if (!client_cert.empty()) add(kXfcc, client_cert);
  return out;
}

bool RequestHead::is_grpc() const {
  constexpr std::string_view kGrpc = "application/grpc";
  for (const Field& field : fields_) {
    if (field.key != "content-type" || !field.value.starts_with(kGrpc)) {
      continue;
    }
    // application/grpc-web is another thing.
    const std::string_view rest = field.value.substr(kGrpc.size());
    return rest.empty() || rest[0] == '+';
  }
  return false;
}

bool MayBeTrailer(std::string_view key) {
  return !ReadsAs(key, kXfcc) && !ReadsAsFraming(key) &&
         !IsOneOf(key, {"host", "te", "http2-settings"});
}

base::StatusOr<ResponseHead> ResponseHead::Parse(std::string_view text,
                                                 bool to_head) {
  // The reason may be missing with its blank, and Beast insists on that.
  std::string patched;
  constexpr size_t kStatusLine = std::string_view("HTTP/1.1 200").size();
  if (text.size() > kStatusLine && text[kStatusLine] == '\r') {
    patched = text;
    patched.insert(kStatusLine, " ");
    text = patched;
  }
  NODEWARD_ASSIGN(const BeastHead lines, ParseResponseLines(text));
  ResponseHead head;
  head.status = lines.status;
  if (lines.status == 101) {
    for (const auto& [name, value] : lines.fields) {
      head.websocket =
          head.websocket || (EqualsIgnoringCase(name, "upgrade") &&
                             EqualsIgnoringCase(value, "websocket"));
    }
  }
  if (to_head || lines.status / 100 == 1 || lines.status == 204 ||
      lines.status == 304) {
    return head;
  }
  if (lines.chunked) {
    head.framing = Framing::kChunked;
  } else if (lines.length.has_value()) {
    head.framing = Framing::kLength;
    head.length = *lines.length;
  } else {
    head.framing = Framing::kUntilEnd;
  }
  return head;
}

}  // namespace nodeward::http
