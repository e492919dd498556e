// SPDX-License-Identifier: Apache-2.0
#include "http/spectator.h"

#include <utility>

namespace nodeward::http {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// More than a server can say before it has heard anything.
constexpr size_t kMaxEarly = 1024;

// Whether `text` begins as an HTTP/2 server does, with a SETTINGS frame.
bool MayBeSettings(std::string_view text) {
  constexpr std::string_view kHead("\0\0?\x04\0\0\0\0\0", 9);
  for (size_t i = 0; i < kHead.size() && i < text.size(); ++i) {
    if (kHead[i] != '?' && kHead[i] != text[i]) return false;
  }
  return true;
}

}  // namespace

void Spectator::FromClient(base::ByteSpan bytes) {
  if (over_ || bytes.empty()) return;
  if (sight_ == nullptr) return Decide(bytes);
  if (!sight_->FromClient(bytes)) GiveUp();
}

void Spectator::FromServer(base::ByteSpan bytes) {
  if (over_ || bytes.empty()) return;
  if (sight_ != nullptr) {
    if (!sight_->FromServer(bytes)) GiveUp();
    return;
  }
  // In HTTP/1 the client begins; a server of HTTP/2 need not wait for it.
  early_ += base::AsText(bytes);
  if (early_.size() > kMaxEarly || !MayBeSettings(early_)) GiveUp();
}

void Spectator::Decide(base::ByteSpan bytes) {
  size_t taken = 0;
  while (taken < bytes.size() && matched_ < kPreface.size() &&
         bytes[taken] == static_cast<uint8_t>(kPreface[matched_])) {
    ++taken;
    ++matched_;
  }
  if (matched_ == kPreface.size()) {
    sight_ = MakeHttp2Sight(user_, &next_);
    bytes = bytes.subspan(taken);
    const std::string early = std::exchange(early_, {});
    if (sight_ == nullptr || !sight_->FromServer(base::AsBytes(early)) ||
        !sight_->FromClient(bytes)) {
      GiveUp();
    }
    return;
  }
  if (taken == bytes.size()) return;
  if (!early_.empty()) return GiveUp();
  sight_ = MakeHttp1Sight(user_, &next_);
  const std::string_view begun = kPreface.substr(0, matched_);
  if (!sight_->FromClient(base::AsBytes(begun)) ||
      !sight_->FromClient(bytes.subspan(taken))) {
    GiveUp();
  }
}

void Spectator::GiveUp() {
  over_ = true;
  if (sight_ != nullptr) sight_->End("unreadable");
  sight_.reset();
  user_->OnOpaque();
}

void Spectator::End(std::string_view reason) {
  if (std::exchange(over_, true)) return;
  if (sight_ != nullptr) sight_->End(reason);
  sight_.reset();
  if (next_ == 0) user_->OnOpaque();
}

void Spectator::Leave() {
  over_ = true;
  sight_.reset();
}

}  // namespace nodeward::http
