// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "hbone/outbox.h"
#include "io/loop.h"

namespace nodeward::hbone {

// Something that is worked on once at the end of a round (so that all output of
// the round leaves with one system call), or again in the next round (so that
// one busy connection lets the others have their turn).
class Turn {
 public:
  virtual void OnTurn() = 0;
  bool queued() const { return queued_in_ != nullptr; }

 protected:
  Turn() = default;
  virtual ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  friend class Workshop;
  class Workshop* queued_in_ = nullptr;
};

// Something that may be asked to go while one of its own functions runs.
class Retirable {
 public:
  virtual ~Retirable() = default;
};

// What all connections of one worker share: its loop, its buffers, its queues.
// Belongs to the loop's thread. The rooms are scratch: whoever fills one has
// emptied it before it returns to the loop.
class Workshop {
 public:
  explicit Workshop(io::Loop* loop);
  ~Workshop();
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  io::Loop& loop() { return *loop_; }
  BlockPool& blocks() { return blocks_; }

  // Ciphertext, or plain bytes of a socket, as they come. Larger than 64 KiB:
  // what arrives in full TLS records is a little more than its payload.
  base::MutableByteSpan read_room() { return read_room_; }
  // Plaintext taken out of read_room.
  base::MutableByteSpan plain_room() { return plain_room_; }
  // Frames on their way into TLS: four full records.
  base::MutableByteSpan send_room() { return send_room_; }
  // For HTTP/2 between the others, which may be in use: what an application
  // says, and frames on their way to it. Made when they are first asked for.
  base::MutableByteSpan inner_read_room() { return Inner().first(kInner); }
  base::MutableByteSpan inner_send_room() { return Inner().last(kInner); }

  // Once, however often it is asked for. The turn takes itself out when it is
  // destroyed.
  void AtRoundEnd(Turn* turn);
  void NextRound(Turn* turn);
  // Destroys it at the end of the round.
  void Retire(std::unique_ptr<Retirable> gone);

 private:
  friend class Turn;
  static constexpr size_t kInner = 64 << 10;
  base::MutableByteSpan Inner();
  void Enqueue(std::vector<Turn*>* queue, Turn* turn);
  void Run(std::vector<Turn*>* queue);

  io::Loop* const loop_;
  BlockPool blocks_;
  std::vector<uint8_t> read_room_;
  std::vector<uint8_t> plain_room_;
  std::vector<uint8_t> send_room_;
  std::vector<uint8_t> inner_rooms_;
  std::vector<Turn*> round_end_;
  std::vector<Turn*> next_round_;
  std::vector<Turn*> running_;
  std::vector<std::unique_ptr<Retirable>> retired_;
  // Posted work must not find a workshop that is gone.
  std::shared_ptr<Workshop*> self_;
};

}  // namespace nodeward::hbone
