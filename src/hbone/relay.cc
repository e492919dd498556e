// SPDX-License-Identifier: Apache-2.0
#include "hbone/relay.h"

#include <utility>

namespace nodeward::hbone {
namespace {

// So many reads in a row, then it is the others' turn.
constexpr int kRounds = 16;

}  // namespace

Relay::Relay(Workshop* workshop, Channel* client, Channel* server,
             RelayUser* user, TapPoint* tap)
    : workshop_(workshop),
      user_(user),
      tap_(tap),
      up_{client, server},
      down_{server, client} {}

void Relay::Start() {
  up_.from->set_user(this);
  up_.to->set_user(this);
  Pump();
}

void Relay::Pump() {
  if (over_) return;
  more_ = false;
  if (!Carry(&up_) || !Carry(&down_)) return End(RelayEnd::kReset);
  // What could be read has been; a dead connection whose bytes the other side
  // does not take is noticed here, while nothing is being read from it.
  if (!more_ && (up_.from->failing() || up_.to->failing())) {
    return End(RelayEnd::kReset);
  }
  if (up_.ended && down_.ended && up_.to->backlog() == 0 &&
      down_.to->backlog() == 0) {
    End(RelayEnd::kClosed);
  }
}

bool Relay::Carry(Direction* direction) {
  Channel& from = *direction->from;
  Channel& to = *direction->to;
  const base::MutableByteSpan room = workshop_->plain_room().first(kLimit);
  for (int round = 0; round < kRounds; ++round) {
    if (to.backlog() > 0) {
      to.Flush();
      if (to.broken()) return false;
      if (to.backlog() > 0) {
        from.Rest();
        return !from.broken();
      }
    }
    if (direction->ended) return !from.broken();
    const io::Transfer got = from.Read(room);
    switch (got.progress) {
      case io::Progress::kBytes:
        direction->count += got.count;
        if (tap_ != nullptr) Show(*direction, room.first(got.count));
        to.Send(room.first(got.count));
        to.Flush();
        if (to.broken()) return false;
        break;
      case io::Progress::kWouldBlock:
        return true;
      case io::Progress::kEnd:
        direction->ended = true;
        to.Finish();
        to.Flush();
        return !to.broken();
      case io::Progress::kReset:
        return false;
    }
  }
  from.Rest();
  more_ = true;
  workshop_->NextRound(this);
  return true;
}

void Relay::Show(const Direction& direction, base::ByteSpan bytes) {
  if (&direction == &up_) {
    tap_->FromClient(bytes);
  } else {
    tap_->FromServer(bytes);
  }
}

void Relay::End(RelayEnd end) {
  if (std::exchange(over_, true)) return;
  up_.from->set_user(nullptr);
  up_.to->set_user(nullptr);
  user_->OnRelayEnd(end);
}

}  // namespace nodeward::hbone
