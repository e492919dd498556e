// SPDX-License-Identifier: Apache-2.0
#include "http/gateway.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/text.h"

namespace nodeward::http {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";

enum class Found { kNothing, kEnd, kTooLong };

// How many bytes of `input`, which continues `head`, belong to the head; npos
// while its end is not among them.
size_t EndOf(std::string_view head, std::string_view input) {
  constexpr size_t kSeam = kHeadEnd.size() - 1;
  const size_t tail = std::min(head.size(), kSeam);
  std::string seam(head.substr(head.size() - tail));
  seam += input.substr(0, kSeam);
  size_t at = seam.find(kHeadEnd);
  if (at != std::string::npos) return at + kHeadEnd.size() - tail;
  at = input.find(kHeadEnd);
  return at == std::string_view::npos ? at : at + kHeadEnd.size();
}

// Moves bytes from the front of `input` to `head`, which they continue, up to
// the end of the head and no further: the next one may be thousands of heads
// away from the end of `input`. *taken of them are done with.
Found Gather(std::string* head, std::string_view input, size_t* taken) {
  input = input.substr(0, kMaxHeadBytes - head->size());
  const size_t end = EndOf(*head, input);
  *taken = std::min(end, input.size());
  head->append(input.substr(0, *taken));
  if (end != std::string_view::npos) return Found::kEnd;
  return head->size() < kMaxHeadBytes ? Found::kNothing : Found::kTooLong;
}

// What no request line begins with is not worth an answer: TLS, for one.
bool MayBeginRequest(uint8_t c) { return c > 0x20 && c < 0x7f; }

}  // namespace

size_t Gateway::FromClient(base::ByteSpan bytes) {
  size_t taken = 0;
  while (taken < bytes.size()) {
    const base::ByteSpan rest = bytes.subspan(taken);
    switch (request_) {
      case RequestState::kHead:
        // It comes before the next answer.
        if (!reply_.empty()) return taken;
        taken += ReadHead(rest);
        break;
      case RequestState::kBody:
      case RequestState::kDrain:
        taken += ReadBody(rest);
        break;
      case RequestState::kDone:
        return taken;
      case RequestState::kBytes:
        user_->ToApplication(rest);
        return bytes.size();
      case RequestState::kOver:
        return bytes.size();
    }
  }
  return taken;
}

size_t Gateway::ReadHead(base::ByteSpan bytes) {
  const std::string_view text = base::AsText(bytes);
  // Some clients send an empty line behind a body (RFC 9112 section 2.2).
  size_t empty = 0;
  while (head_.empty() && text.substr(empty).starts_with("\r\n")) empty += 2;
  if (empty == text.size()) return empty;
  size_t taken = 0;
  Found found = Gather(&head_, text.substr(empty), &taken);
  taken += empty;
  // One that came in two parts.
  while (head_.starts_with("\r\n")) {
    head_.erase(0, 2);
    if (found == Found::kEnd && !head_.ends_with(kHeadEnd)) {
      found = Found::kNothing;
    }
  }
  if (!head_.empty() && head_[0] != '\r' && !MayBeginRequest(head_[0])) {
    request_ = RequestState::kOver;
    error_ = absl::InvalidArgumentError("read HTTP request: it is none");
    head_.clear();
    return taken;
  }
  switch (found) {
    case Found::kNothing:
      break;
    case Found::kTooLong:
      Refuse(absl::InvalidArgumentError(
          "read HTTP request: its head is too large"));
      break;
    case Found::kEnd:
      Judge(std::exchange(head_, {}));
      break;
  }
  return taken;
}

void Gateway::Judge(std::string_view text) {
  auto parsed = RequestHead::Parse(text);
  if (!parsed.ok()) return Refuse(parsed.status());
  current_.emplace(*std::move(parsed));
  const GatewayUser::Ruling ruling = user_->OnRequest(&*current_);
  switch (ruling) {
    case GatewayUser::Ruling::kForward:
      break;
    case GatewayUser::Ruling::kDeny:
      break;
    case GatewayUser::Ruling::kRefuse:
      return Refuse(absl::InvalidArgumentError(
          "read HTTP request: what it asks for cannot be passed on"));
    case GatewayUser::Ruling::kUnheard:
      request_ = RequestState::kOver;
      return;
  }
  const bool forward = ruling == GatewayUser::Ruling::kForward;
  left_ = current_->length();
  if (current_->framing() == Framing::kChunked) chunks_ = ChunkReader();
  if (!forward) return Deny();
  awaiting_ = true;
  response_ = ResponseState::kHead;
  request_ = RequestState::kBody;
  user_->ToApplication(base::AsBytes(current_->Rewrite(user_->client_cert())));
  if (current_->framing() != Framing::kChunked && left_ == 0) BodyEnded();
}

// The answer comes behind the body, or a client that is still sending would
// have to guess whether the connection goes on.
void Gateway::Deny() {
  drained_ = 0;
  request_ = RequestState::kDrain;
  const bool chunked = current_->framing() == Framing::kChunked;
  if (current_->last() || current_->expects_continue() ||
      current_->method() == "CONNECT" || left_ > kMaxDrained) {
    return Reply("403 Forbidden", "RBAC: access denied", true);
  }
  if (!chunked && left_ == 0) BodyEnded();
}

void Gateway::Refuse(base::Status why) {
  error_ = std::move(why);
  head_.clear();
  if (awaiting_) {
    // A bad body: the application has half of a request.
    cut_ = true;
    if (response_ == ResponseState::kBody || !answer_.empty()) {
      broken_ = true;
      request_ = RequestState::kOver;
      return;
    }
    awaiting_ = false;
  }
  Reply("400 Bad Request", "bad request", true);
}

void Gateway::Reply(std::string_view status, std::string_view body, bool last) {
  base::StrAppend(&reply_, "HTTP/1.1 ", status,
                  "\r\ncontent-length: ", body.size(),
                  "\r\ncontent-type: text/plain\r\n",
                  last ? "connection: close\r\n\r\n" : "\r\n");
  if (!current_.has_value() || current_->method() != "HEAD") reply_ += body;
  if (last) request_ = RequestState::kOver;
}

size_t Gateway::ReadBody(base::ByteSpan bytes) {
  size_t taken = 0;
  if (current_->framing() == Framing::kChunked) {
    taken = ReadChunk(bytes);
  } else {
    taken = std::min<uint64_t>(left_, bytes.size());
    left_ -= taken;
    if (request_ == RequestState::kBody) {
      user_->ToApplication(bytes.first(taken));
    }
    if (left_ == 0) BodyEnded();
  }
  if (request_ == RequestState::kDrain) {
    drained_ += taken;
    if (drained_ > kMaxDrained) {
      Reply("403 Forbidden", "RBAC: access denied", true);
    }
  }
  return taken;
}

// Chunks are made anew: without extensions, which readers disagree about, and
// without trailers, which an application might take for fields of the head.
size_t Gateway::ReadChunk(base::ByteSpan bytes) {
  using Kind = ChunkReader::Piece::Kind;
  const ChunkReader::Piece piece = chunks_.Read(bytes);
  const bool forward = request_ == RequestState::kBody;
  switch (piece.kind) {
    case Kind::kMore:
      break;
    case Kind::kChunk:
      if (forward) {
        std::array<char, 20> line;
        char* end =
            std::to_chars(line.data(), line.data() + 16, piece.size, 16).ptr;
        *end++ = '\r';
        *end++ = '\n';
        user_->ToApplication(base::AsBytes(
            {line.data(), static_cast<size_t>(end - line.data())}));
      }
      break;
    case Kind::kBytes:
      if (forward) user_->ToApplication(bytes.first(piece.taken));
      break;
    case Kind::kChunkEnd:
      if (forward) user_->ToApplication(base::AsBytes("\r\n"));
      break;
    case Kind::kEnd:
      if (forward) user_->ToApplication(base::AsBytes("0\r\n\r\n"));
      BodyEnded();
      break;
    case Kind::kBad:
      Refuse(absl::InvalidArgumentError("read HTTP request: a bad chunk"));
      break;
  }
  return piece.taken;
}

void Gateway::BodyEnded() {
  if (request_ == RequestState::kDrain) {
    Reply("403 Forbidden", "RBAC: access denied", false);
    return NextRequest();
  }
  request_ = RequestState::kDone;
  if (!awaiting_) NextRequest();
}

void Gateway::NextRequest() {
  request_ = RequestState::kHead;
  current_.reset();
}

size_t Gateway::FromApplication(base::ByteSpan bytes) {
  size_t taken = 0;
  while (taken < bytes.size() && !broken_) {
    if (request_ == RequestState::kBytes) return bytes.size();
    if (!awaiting_) {
      // An answer that nobody asked for would be taken for the next one's.
      broken_ = true;
      error_ = absl::InvalidArgumentError(
          "read HTTP response: there is no request for it");
      break;
    }
    const base::ByteSpan rest = bytes.subspan(taken);
    taken += response_ == ResponseState::kHead ? ReadAnswerHead(rest)
                                               : ReadAnswerBody(rest);
  }
  return taken;
}

size_t Gateway::ReadAnswerHead(base::ByteSpan bytes) {
  size_t taken = 0;
  switch (Gather(&answer_, base::AsText(bytes), &taken)) {
    case Found::kNothing:
      return taken;
    case Found::kTooLong:
      broken_ = true;
      error_ = absl::InvalidArgumentError(
          "read HTTP response: its head is too large");
      return 0;
    case Found::kEnd:
      break;
  }
  auto head = ResponseHead::Parse(std::exchange(answer_, {}),
                                  current_->method() == "HEAD");
  if (head.ok() && head->status == 101 &&
      !(head->websocket && current_->upgrade() == Upgrade::kWebSocket &&
        request_ == RequestState::kDone)) {
    head = absl::InvalidArgumentError(
        "read HTTP response: it switches to a protocol that nobody asked for");
  }
  if (!head.ok()) {
    broken_ = true;
    error_ = head.status();
    return 0;
  }
  answer_head_ = *head;
  if (head->status == 101) {
    awaiting_ = false;
    request_ = RequestState::kBytes;
    return taken;
  }
  if (head->status / 100 == 1) return taken;
  response_ = ResponseState::kBody;
  answer_left_ = head->length;
  answer_chunks_ = ChunkReader();
  if (head->framing == Framing::kNone ||
      (head->framing == Framing::kLength && answer_left_ == 0)) {
    AnswerEnded();
  }
  return taken;
}

size_t Gateway::ReadAnswerBody(base::ByteSpan bytes) {
  if (answer_head_.framing == Framing::kUntilEnd) return bytes.size();
  if (answer_head_.framing == Framing::kLength) {
    const size_t taken = std::min<uint64_t>(answer_left_, bytes.size());
    answer_left_ -= taken;
    if (answer_left_ == 0) AnswerEnded();
    return taken;
  }
  const ChunkReader::Piece piece = answer_chunks_.Read(bytes);
  if (piece.kind == ChunkReader::Piece::Kind::kBad) {
    broken_ = true;
    error_ = absl::InvalidArgumentError("read HTTP response: a bad chunk");
  } else if (piece.kind == ChunkReader::Piece::Kind::kEnd) {
    AnswerEnded();
  }
  return piece.taken;
}

void Gateway::AnswerEnded() {
  awaiting_ = false;
  if (request_ == RequestState::kDone) NextRequest();
}

void Gateway::ApplicationEnded() {
  if (request_ == RequestState::kDrain) {
    Reply("403 Forbidden", "RBAC: access denied", true);
  }
  awaiting_ = false;
  request_ = RequestState::kOver;
  head_.clear();
}

}  // namespace nodeward::http
