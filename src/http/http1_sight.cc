// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1 read from beside: requests and answers in their order, by the same
// rules as the gateway's. What two readers could take for two things is not
// shown as a request at all.
#include <algorithm>
#include <deque>
#include <utility>

#include "http/chunks.h"
#include "http/head.h"
#include "http/spectator.h"

namespace nodeward::http {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
// Of requests that have no whole answer yet.
constexpr size_t kMaxPipelined = 256;
// No method that anybody uses is longer.
constexpr size_t kMaxMethod = 32;

// A head that comes in pieces.
class HeadReader {
 public:
  enum class Step { kMore, kWhole, kTooLong };
  // Moves what belongs to the head from the front of *input.
  Step Take(std::string_view* input) {
    const size_t end = EndIn(*input);
    const size_t count = std::min(end, input->size());
    if (text_.size() + count > kMaxHeadBytes) return Step::kTooLong;
    text_ += input->substr(0, count);
    input->remove_prefix(count);
    return end == std::string_view::npos ? Step::kMore : Step::kWhole;
  }
  std::string& text() { return text_; }

 private:
  size_t EndIn(std::string_view input) const {
    const size_t tail = std::min(text_.size(), kHeadEnd.size() - 1);
    std::string seam = text_.substr(text_.size() - tail);
    seam += input.substr(0, kHeadEnd.size() - 1);
    const size_t across = seam.find(kHeadEnd);
    if (across != std::string::npos) return across + kHeadEnd.size() - tail;
    const size_t at = input.find(kHeadEnd);
    return at == std::string_view::npos ? at : at + kHeadEnd.size();
  }

  std::string text_;
};

// A body, by what its head said of it.
class BodyReader {
 public:
  void Begin(Framing framing, uint64_t length) {
    framing_ = framing;
    left_ = framing == Framing::kLength ? length : 0;
    size_ = 0;
    chunks_ = ChunkReader();
  }
  // False: it is malformed. *whole: its end was reached.
  bool Take(base::ByteSpan* input, bool* whole) {
    using Kind = ChunkReader::Piece::Kind;
    *whole = false;
    switch (framing_) {
      case Framing::kNone:
        *whole = true;
        return true;
      case Framing::kUntilEnd:
        size_ += input->size();
        *input = {};
        return true;
      case Framing::kLength: {
        const size_t count = std::min<uint64_t>(left_, input->size());
        left_ -= count;
        size_ += count;
        *input = input->subspan(count);
        *whole = left_ == 0;
        return true;
      }
      case Framing::kChunked:
        break;
    }
    while (!input->empty()) {
      const ChunkReader::Piece piece = chunks_.Read(*input);
      *input = input->subspan(piece.taken);
      if (piece.kind == Kind::kBytes) size_ += piece.taken;
      if (piece.kind == Kind::kBad) return false;
      if (piece.kind == Kind::kEnd) {
        *whole = true;
        return true;
      }
    }
    return true;
  }
  bool empty() const {
    return framing_ == Framing::kNone ||
           (framing_ == Framing::kLength && left_ == 0);
  }
  bool until_end() const { return framing_ == Framing::kUntilEnd; }
  uint64_t size() const { return size_; }

 private:
  Framing framing_ = Framing::kNone;
  uint64_t left_ = 0;
  uint64_t size_ = 0;
  ChunkReader chunks_;
};

bool IsToken(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
         (c >= 'a' && c <= 'z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// Whether what `text` begins may become a request, so that other protocols are
// known as such by their first bytes.
bool MayBeRequest(std::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), IsToken);
  const auto method = static_cast<size_t>(end - text.begin());
  if (method > kMaxMethod) return false;
  if (end == text.end()) return true;
  if (*end != ' ' || method == 0) return false;
  const size_t line = text.find('\n');
  if (line == std::string_view::npos) return true;
  const std::string_view first = text.substr(0, line);
  return first.ends_with(" HTTP/1.1\r") || first.ends_with(" HTTP/1.0\r");
}

class Http1Sight final : public Sight {
 public:
  Http1Sight(SpectatorUser* user, uint64_t* next) : user_(user), next_(next) {}

  bool FromClient(base::ByteSpan bytes) override;
  bool FromServer(base::ByteSpan bytes) override;
  void End(std::string_view reason) override;

 private:
  struct Exchange {
    uint64_t number = 0;
    bool to_head = false;
    bool connect = false;
  };
  bool ReadRequest(base::ByteSpan* bytes);
  bool ReadAnswer(base::ByteSpan* bytes);
  void AnswerEnded(std::string_view reset);

  SpectatorUser* const user_;
  uint64_t* const next_;
  std::deque<Exchange> awaited_;  // the oldest first
  HeadReader request_;
  BodyReader request_body_;
  bool in_request_body_ = false;
  HeadReader answer_;
  BodyReader answer_body_;
  bool in_answer_body_ = false;
};

bool Http1Sight::FromClient(base::ByteSpan bytes) {
  while (!bytes.empty()) {
    if (!in_request_body_) {
      if (!ReadRequest(&bytes)) return false;
      continue;
    }
    bool whole = false;
    if (!request_body_.Take(&bytes, &whole)) return false;
    in_request_body_ = !whole;
  }
  return true;
}

bool Http1Sight::ReadRequest(base::ByteSpan* bytes) {
  std::string_view text = base::AsText(*bytes);
  // Some clients send an empty line behind a body (RFC 9112 section 2.2).
  while (request_.text().empty() && !text.empty() &&
         (text[0] == '\r' || text[0] == '\n')) {
    text.remove_prefix(1);
  }
  const HeadReader::Step step = request_.Take(&text);
  *bytes = base::AsBytes(text);
  if (step == HeadReader::Step::kTooLong || !MayBeRequest(request_.text())) {
    return false;
  }
  if (step == HeadReader::Step::kMore) return true;
  const auto head = RequestHead::Parse(std::exchange(request_.text(), {}));
  if (!head.ok() || awaited_.size() >= kMaxPipelined) return false;
  const uint64_t number = (*next_)++;
  awaited_.push_back(
      {number, head->method() == "HEAD", head->method() == "CONNECT"});
  user_->OnRequest(number, {head->method(), head->host(), head->path()});
  request_body_.Begin(head->framing(), head->length());
  in_request_body_ = !request_body_.empty();
  return true;
}

bool Http1Sight::FromServer(base::ByteSpan bytes) {
  while (!bytes.empty()) {
    if (awaited_.empty()) return false;
    if (!in_answer_body_) {
      if (!ReadAnswer(&bytes)) return false;
      continue;
    }
    bool whole = false;
    if (!answer_body_.Take(&bytes, &whole)) return false;
    if (whole) AnswerEnded("");
  }
  return true;
}

bool Http1Sight::ReadAnswer(base::ByteSpan* bytes) {
  std::string_view text = base::AsText(*bytes);
  const HeadReader::Step step = answer_.Take(&text);
  *bytes = base::AsBytes(text);
  if (step == HeadReader::Step::kTooLong) return false;
  if (step == HeadReader::Step::kMore) return true;
  const Exchange& exchange = awaited_.front();
  const auto head =
      ResponseHead::Parse(std::exchange(answer_.text(), {}), exchange.to_head);
  if (!head.ok()) return false;
  const bool switches =
      head->status == 101 || (exchange.connect && head->status / 100 == 2);
  if (head->status / 100 == 1 && !switches) return true;
  user_->OnResponse(exchange.number, head->status);
  answer_body_.Begin(head->framing, head->length);
  if (switches) answer_body_.Begin(Framing::kNone, 0);
  in_answer_body_ = !answer_body_.empty();
  if (!in_answer_body_) AnswerEnded("");
  return !switches;
}

void Http1Sight::AnswerEnded(std::string_view reset) {
  in_answer_body_ = false;
  const Exchange exchange = awaited_.front();
  awaited_.pop_front();
  SeenEnd end;
  end.length = answer_body_.size();
  end.reset = reset;
  user_->OnExchangeEnd(exchange.number, end);
  answer_body_.Begin(Framing::kNone, 0);
}

void Http1Sight::End(std::string_view reason) {
  if (in_answer_body_ && answer_body_.until_end() && reason.empty()) {
    AnswerEnded("");
  }
  while (!awaited_.empty()) AnswerEnded(reason.empty() ? "closed" : reason);
}

}  // namespace

std::unique_ptr<Sight> MakeHttp1Sight(SpectatorUser* user, uint64_t* next) {
  return std::make_unique<Http1Sight>(user, next);
}

}  // namespace nodeward::http
