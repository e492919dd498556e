// SPDX-License-Identifier: Apache-2.0
//
// What Envoy does (source/common/http/path_utility.cc) with the URL library it
// uses: escaped slashes are decoded if so wanted; dot segments are resolved,
// '\' becomes '/', what need not be escaped is decoded and what must be is
// escaped; then slashes are merged if so wanted. One pass each: what was
// escaped twice stays escaped once.
#include "policy/path.h"

#include <array>

namespace nodeward::policy {
namespace {

enum class Kind : uint8_t {
  kPlain,       // stands for itself; its escape stays an escape
  kUnreserved,  // stands for itself, and so does its escape
  kEscape,      // is to be escaped
};

constexpr std::array<Kind, 256> MakeKinds() {
  std::array<Kind, 256> kinds{};
  for (size_t c = 0; c < kinds.size(); ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (letter || digit || c == '-' || c == '.' || c == '_' || c == '~') {
      kinds[c] = Kind::kUnreserved;
    } else if (c <= 0x20 || c >= 0x7f || c == '"' || c == '#' || c == '<' ||
               c == '>' || c == '?' || c == '^' || c == '`' || c == '{' ||
               c == '}') {
      kinds[c] = Kind::kEscape;
    } else {
      kinds[c] = Kind::kPlain;
    }
  }
  return kinds;
}
constexpr std::array<Kind, 256> kKinds = MakeKinds();

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte that the escape at the start of `text` stands for; -1: none there.
int Escaped(std::string_view text) {
  if (text.size() < 3 || text[0] != '%') return -1;
  const int high = HexDigit(text[1]);
  const int low = HexDigit(text[2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// How long a '.' at the start of `text` is, escaped or not; 0: none there.
size_t Dot(std::string_view text) {
  if (text.starts_with('.')) return 1;
  return Escaped(text) == '.' ? 3 : 0;
}

bool IsSlash(char c) { return c == '/' || c == '\\'; }

// After a dot that follows a slash: how much of `rest` belongs to a dot
// segment.
struct Segment {
  enum class Kind { kName, kHere, kUp } kind = Kind::kName;
  size_t length = 0;
};
Segment AfterDot(std::string_view rest) {
  if (rest.empty()) return {Segment::Kind::kHere, 0};
  if (IsSlash(rest[0])) return {Segment::Kind::kHere, 1};
  const size_t second = Dot(rest);
  if (second == 0) return {};
  if (rest.size() == second) return {Segment::Kind::kUp, second};
  if (IsSlash(rest[second])) return {Segment::Kind::kUp, second + 1};
  return {};
}

void BackUp(std::string* out) {
  // `out` ends with the slash of the segment that is to go.
  const size_t slash =
      out->size() < 2 ? std::string::npos : out->rfind('/', out->size() - 2);
  out->resize(slash == std::string::npos ? 1 : slash + 1);
}

// False: no normal form.
bool Canonicalize(std::string_view path, std::string* out) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (size_t i = 0; i < path.size(); ++i) {
    const std::string_view rest = path.substr(i);
    if (const size_t dot = Dot(rest); dot > 0) {
      const bool after_slash = !out->empty() && out->back() == '/';
      const Segment segment =
          after_slash ? AfterDot(rest.substr(dot)) : Segment{};
      if (segment.kind == Segment::Kind::kName) out->push_back('.');
      if (segment.kind == Segment::Kind::kUp) BackUp(out);
      i += dot + segment.length - 1;
      continue;
    }
    const char c = path[i];
    if (c == '\\') {
      out->push_back('/');
      continue;
    }
    const int escaped = Escaped(rest);
    if (escaped == 0) return false;
    if (escaped > 0 && kKinds[escaped] == Kind::kUnreserved) {
      out->push_back(static_cast<char>(escaped));
      i += 2;
    } else if (c != '%' && kKinds[static_cast<uint8_t>(c)] == Kind::kEscape) {
      if (c == 0) return false;
      out->push_back('%');
      out->push_back(kHex[static_cast<uint8_t>(c) >> 4]);
      out->push_back(kHex[static_cast<uint8_t>(c) & 15]);
    } else {
      out->push_back(c);  // a '%' with what follows as it is
    }
  }
  return true;
}

std::string DecodeSlashes(std::string_view path) {
  std::string decoded;
  for (size_t i = 0; i < path.size(); ++i) {
    const int escaped = Escaped(path.substr(i));
    if (escaped == '/' || escaped == '\\') {
      decoded.push_back(static_cast<char>(escaped));
      i += 2;
    } else {
      decoded.push_back(path[i]);
    }
  }
  return decoded;
}

std::string MergeSlashes(std::string_view path) {
  std::string merged;
  for (const char c : path) {
    if (c != '/' || merged.empty() || merged.back() != '/') merged += c;
  }
  return merged;
}

}  // namespace

std::string_view BarePath(std::string_view path) {
  return path.substr(0, path.find_first_of("?#"));
}

std::optional<std::string> NormalizePath(model::PathNormalization mode,
                                         std::string_view path) {
  using Mode = model::PathNormalization;
  // Fragments are for browsers; some servers cut them off, others do not.
  if (path.find('#') != std::string_view::npos) return std::nullopt;
  if (mode == Mode::kNone || !path.starts_with('/')) return std::string(path);
  const size_t end = path.find('?');
  std::string bare(path.substr(0, end));
  if (mode == Mode::kDecodeAndMerge) bare = DecodeSlashes(bare);
  std::string normal;
  if (!Canonicalize(bare, &normal)) return std::nullopt;
  if (mode != Mode::kBase) normal = MergeSlashes(normal);
  if (end != std::string_view::npos) normal += path.substr(end);
  return normal;
}

}  // namespace nodeward::policy
