// SPDX-License-Identifier: Apache-2.0
#include "pki/key_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "pki/csr.h"
#include "pki/forge.h"

namespace nodeward::pki {
namespace {

constexpr size_t kScalar = 32;
constexpr uint8_t kMask = 0xa5;
using Masked = std::array<uint8_t, kScalar>;

// The private number, masked, so that looking for it does not make what is
// found. Read out in a child, whose copies are not in this process.
Masked ScalarOf(const PrivateKey& key) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    BIGNUM* number = nullptr;
    Masked scalar{};
    if (EVP_PKEY_get_bn_param(key.native(), OSSL_PKEY_PARAM_PRIV_KEY,
                              &number) != 1 ||
        BN_bn2binpad(number, scalar.data(), kScalar) < 0) {
      _exit(1);
    }
    for (uint8_t& byte : scalar) byte ^= kMask;
    _exit(write(ends[1], scalar.data(), kScalar) == kScalar ? 0 : 1);
  }
  close(ends[1]);
  Masked scalar{};
  EXPECT_EQ(read(ends[0], scalar.data(), kScalar), ssize_t{kScalar});
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return scalar;
}

struct Mapping {
  uintptr_t begin = 0, end = 0;
  std::string name, flags;
};

std::vector<Mapping> Mappings() {
  std::vector<Mapping> all;
  std::ifstream file("/proc/self/smaps");
  for (std::string line; std::getline(file, line);) {
    Mapping mapping;
    char mode[5] = "";
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s",
                    &mapping.begin, &mapping.end, mode) == 3) {
      mapping.name = line;
      all.push_back(mapping);
    } else if (line.starts_with("VmFlags:") && !all.empty()) {
      all.back().flags = line + " ";
    }
  }
  return all;
}

bool Holds(const uint8_t* bytes, size_t size, const Masked& scalar) {
  for (size_t at = 0; at + kScalar <= size; ++at) {
    size_t same = 0;
    while (same < kScalar && (bytes[at + same] ^ kMask) == scalar[same]) ++same;
    if (same == kScalar) return true;
  }
  return false;
}

// The mappings that hold the number, in either byte order.
std::vector<Mapping> Find(const Masked& scalar) {
  constexpr size_t kRoom = 1 << 20;
  auto* const room =
      static_cast<uint8_t*>(mmap(nullptr, kRoom, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  const auto own = reinterpret_cast<uintptr_t>(room);
  Masked reversed = scalar;
  std::reverse(reversed.begin(), reversed.end());
  const base::Fd memory(open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  std::vector<Mapping> found;
  for (const Mapping& mapping : Mappings()) {
    bool holds = false;
    for (uintptr_t at = mapping.begin; at < mapping.end && !holds;
         at += kRoom - kScalar) {
      // The room itself holds what was read last.
      if (at < own + kRoom && own < mapping.end && mapping.begin <= own) {
        std::memset(room, 0, kRoom);
      }
      const ssize_t got =
          pread(memory.get(), room, std::min(kRoom, mapping.end - at),
                static_cast<off_t>(at));
      if (got <= 0) continue;
      holds = Holds(room, static_cast<size_t>(got), scalar) ||
              Holds(room, static_cast<size_t>(got), reversed);
    }
    std::memset(room, 0, kRoom);
    if (holds) found.push_back(mapping);
  }
  munmap(room, kRoom);
  return found;
}

// The one test that changes the whole process for those after it.
TEST(KeyMemory, KeysLieInItAloneAndLeaveNothing) {
  const base::Status locked = UseKeyMemory(size_t{1} << 20);
  ASSERT_TRUE(locked.ok() || absl::IsResourceExhausted(locked)) << locked;
  std::optional<PrivateKey> key = *PrivateKey::GenerateP256();
  const Masked scalar = ScalarOf(*key);
  ASSERT_TRUE(MakeCsr(*key, Id("a")).ok());
  const std::vector<Mapping> found = Find(scalar);
  ASSERT_EQ(found.size(), 1) << "the search must find what is there";
  EXPECT_THAT(found[0].flags, testing::HasSubstr(" dd "))
      << "left out of core dumps: " << found[0].name;
  if (locked.ok()) {
    EXPECT_THAT(found[0].flags, testing::HasSubstr(" lo ")) << found[0].name;
  }
  key.reset();
  for (const Mapping& mapping : Find(scalar)) {
    ADD_FAILURE() << "still in " << mapping.name;
  }
}

}  // namespace
}  // namespace nodeward::pki
