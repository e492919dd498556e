// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/status.h"

namespace nodeward::io {

// What one read or write did. Would-block and end of stream are values.
enum class Progress {
  kBytes,       // `count` bytes moved
  kWouldBlock,  // try again when the loop says so
  kEnd,         // reads: the peer's FIN
  kReset,       // the connection is gone (RST, broken pipe, time-out)
};
struct Transfer {
  Progress progress;
  size_t count = 0;
  int error = 0;  // errno behind kReset
};

Transfer Read(int fd, base::MutableByteSpan buffer);
Transfer Peek(int fd, base::MutableByteSpan buffer);  // leaves the bytes unread
Transfer Write(int fd, base::ByteSpan bytes);
// All of `pieces` in their order with one system call; at most 64 of them.
Transfer WriteGathered(int fd, std::span<const base::ByteSpan> pieces);

// One connection from a listener, non-blocking and close-on-exec; no value when
// none waits. A connection that died in the queue counts as none. `error` (may
// be null) gets errno when there is no value: EMFILE and ENFILE mean that a
// connection waits and cannot be taken.
std::optional<base::Fd> Accept(int listener, base::Endpoint* peer,
                               int* error = nullptr);

base::StatusOr<base::Endpoint> LocalEndpoint(int fd);
base::StatusOr<base::Endpoint> PeerEndpoint(int fd);

// Starts a non-blocking connect. OK: established or in progress (writable when
// done; then ConnectResult tells).
base::Status StartConnect(int fd, const base::Endpoint& to);
// After the first EPOLLOUT: OK, or why the connection failed (ECONNREFUSED is
// kUnavailable).
base::Status ConnectResult(int fd);

void SetNoDelay(int fd);
// Dead peers are noticed after idle + probes x interval.
void SetKeepAlive(int fd, absl::Duration idle, absl::Duration interval,
                  int probes);
// For a connection over lo, where there is no network to be fair to: the
// system's choice may pace (bbr: a timer for every burst). Reno is in every
// kernel. What a listening socket accepts has it too.
void SkipPacing(int fd);
// Closes with RST: what is unsent is discarded and the peer sees a reset.
void ResetAndClose(base::Fd fd);
// shutdown(SHUT_WR): FIN after what is queued.
void FinishWriting(int fd);

}  // namespace nodeward::io
