// SPDX-License-Identifier: Apache-2.0
#include "hbone/workshop.h"

#include <algorithm>
#include <utility>

namespace nodeward::hbone {
namespace {

constexpr size_t kReadRoom = 132 << 10;
constexpr size_t kPlainRoom = 132 << 10;
constexpr size_t kSendRoom = 64 << 10;

}  // namespace

Turn::~Turn() {
  if (queued_in_ == nullptr) return;
  for (auto* queue : {&queued_in_->round_end_, &queued_in_->next_round_,
                      &queued_in_->running_}) {
    std::replace(queue->begin(), queue->end(), this,
                 static_cast<Turn*>(nullptr));
  }
}

Workshop::Workshop(io::Loop* loop)
    : loop_(loop),
      read_room_(kReadRoom),
      plain_room_(kPlainRoom),
      send_room_(kSendRoom),
      self_(std::make_shared<Workshop*>(this)) {}

Workshop::~Workshop() {
  retired_.clear();
  *self_ = nullptr;
}

base::MutableByteSpan Workshop::Inner() {
  if (inner_rooms_.empty()) inner_rooms_.resize(2 * kInner);
  return inner_rooms_;
}

void Workshop::Enqueue(std::vector<Turn*>* queue, Turn* turn) {
  turn->queued_in_ = this;
  queue->push_back(turn);
}

void Workshop::AtRoundEnd(Turn* turn) {
  if (turn->queued_in_ != nullptr) return;
  if (round_end_.empty()) {
    loop_->Defer([self = self_] {
      if (*self != nullptr) (*self)->Run(&(*self)->round_end_);
    });
  }
  Enqueue(&round_end_, turn);
}

void Workshop::NextRound(Turn* turn) {
  if (turn->queued_in_ != nullptr) return;
  if (next_round_.empty()) {
    loop_->Post([self = self_] {
      if (*self != nullptr) (*self)->Run(&(*self)->next_round_);
    });
  }
  Enqueue(&next_round_, turn);
}

void Workshop::Run(std::vector<Turn*>* queue) {
  running_.swap(*queue);
  // By index: a destroyed turn blanks its entry.
  for (size_t i = 0; i < running_.size(); ++i) {
    Turn* const turn = std::exchange(running_[i], nullptr);
    if (turn == nullptr) continue;
    turn->queued_in_ = nullptr;
    turn->OnTurn();
  }
  running_.clear();
}

void Workshop::Retire(std::unique_ptr<Retirable> gone) {
  if (retired_.empty()) {
    loop_->Defer([self = self_] {
      if (*self != nullptr) std::exchange((*self)->retired_, {}).clear();
    });
  }
  retired_.push_back(std::move(gone));
}

}  // namespace nodeward::hbone
