// SPDX-License-Identifier: Apache-2.0
#include "capture/onward_ports.h"

#include <sys/mman.h>

#include <cstdlib>

#include "absl/hash/hash.h"

namespace nodeward::capture {
namespace {

// Preferred: 61000-65535, then 20000-32767. Reserve: 1024-19999.
constexpr uint32_t kHighFirst = 61000;
constexpr uint32_t kHighCount = 65536 - kHighFirst;
constexpr uint32_t kMiddleFirst = 20000;
constexpr uint32_t kPreferredCount = kHighCount + (32768 - kMiddleFirst);
constexpr uint32_t kReserveFirst = 1024;
constexpr uint32_t kReserveCount = kMiddleFirst - kReserveFirst;

// Tries in the preferred ports before the reserve, and every n-th after.
constexpr int kPreferredTries = 4;
constexpr int kPreferredEvery = 4;
// Others looked at when the filter rejects a candidate. If it rejects them all
// it is saturated and tells nothing.
constexpr int kFiltered = 64;

uint16_t PreferredPort(uint32_t n) {
  n %= kPreferredCount;
  return static_cast<uint16_t>(n < kHighCount ? kHighFirst + n
                                              : kMiddleFirst + n - kHighCount);
}

uint16_t ReservePort(uint32_t n) {
  return static_cast<uint16_t>(kReserveFirst + n % kReserveCount);
}

// splitmix64's finisher: neighbouring numbers become unrelated ones.
uint32_t Scatter(uint64_t n) {
  n *= 0x9e3779b97f4a7c15u;
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9u;
  n = (n ^ (n >> 27)) * 0x94d049bb133111ebu;
  return static_cast<uint32_t>(n >> 32);
}

}  // namespace

OnwardPorts::OnwardPorts() {
  void* counts = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  // Out of memory is the end anyway; a null filter would be a silent one.
  if (counts == MAP_FAILED) std::abort();
  counts_.reset(static_cast<uint16_t*>(counts));
}

void OnwardPorts::Unmap::operator()(uint16_t* counts) const {
  munmap(counts, kBytes);
}

uint16_t OnwardPorts::Candidate(const base::IpAddress& client, int attempt) {
  uint16_t port = 0;
  for (int i = 0; i < kFiltered; ++i) {
    port = attempt == 0
               ? PreferredPort(next_.fetch_add(1, std::memory_order_relaxed))
               : Scattered(attempt);
    if (!MayBeCaptured({client, port})) break;
  }
  return port;
}

uint16_t OnwardPorts::Scattered(int attempt) {
  const uint32_t n =
      Scatter(scattered_.fetch_add(1, std::memory_order_relaxed));
  return attempt < kPreferredTries || attempt % kPreferredEvery == 0
             ? PreferredPort(n)
             : ReservePort(n);
}

size_t OnwardPorts::BucketOf(const base::Endpoint& client) {
  const size_t shift = absl::Hash<base::IpAddress>()(client.address);
  return (shift + client.port) % kBuckets;
}

void OnwardPorts::Count(const base::Endpoint& client, int by) {
  std::atomic_ref<uint16_t> count(counts_.get()[BucketOf(client)]);
  count.fetch_add(static_cast<uint16_t>(by), std::memory_order_relaxed);
}

bool OnwardPorts::MayBeCaptured(const base::Endpoint& client) const {
  const std::atomic_ref<uint16_t> count(counts_.get()[BucketOf(client)]);
  return count.load(std::memory_order_relaxed) != 0;
}

}  // namespace nodeward::capture
