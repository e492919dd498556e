// SPDX-License-Identifier: Apache-2.0
//
// key_search PID [--every-byte] POINT…: looks for private keys on P-256 in
// another process. A POINT is a public key, 04 X Y in hexadecimal. Every
// 8-byte-aligned (or every) window of 32 bytes of every page that the process
// may have written, read as a number in either byte order, is multiplied by
// the curve's generator and compared with the public keys. So the search needs
// no private key itself. Prints "NUMBER dumped|kept MAPPING" for each hit:
// which of the POINTs, counted from 0, and whether a core dump has the page;
// then "searched BYTES tried NUMBERS". Exit status 2: it could not look.
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

constexpr size_t kSize = 32;
// Of 32 random bytes that few are different in one case of 10^11; text, zeros,
// pointers and tables mostly have fewer.
constexpr size_t kDifferent = 20;
using Number = std::array<unsigned char, kSize>;

struct Mapping {
  uint64_t begin = 0, end = 0;
  std::string name;
  bool writable = false, program = false, dumped = true;
};

std::vector<Mapping> Mappings(const std::string& process) {
  std::vector<Mapping> all;
  std::ifstream file("/proc/" + process + "/smaps");
  for (std::string line; std::getline(file, line);) {
    Mapping one;
    char mode[5] = "";
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s", &one.begin,
                    &one.end, mode) == 3) {
      const size_t name = line.find_first_of("/[");
      one.name = name == std::string::npos ? "anonymous" : line.substr(name);
      one.writable = mode[1] == 'w';
      one.program = mode[2] == 'x';
      all.push_back(one);
    } else if (line.starts_with("Private_Dirty:") && !all.empty()) {
      // Written once and read-only since.
      if (std::atoi(line.c_str() + 14) > 0 && !all.back().program) {
        all.back().writable = true;
      }
    } else if (line.starts_with("VmFlags:") && !all.empty()) {
      all.back().dumped = (line + " ").find(" dd ") == std::string::npos;
    }
  }
  return all;
}

bool LooksRandom(const unsigned char* bytes) {
  // Most of what there is, and quickly told: 0 in the place of 8 bytes.
  for (size_t i = 0; i < kSize; i += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, bytes + i, sizeof word);
    if (word == 0) return false;
  }
  std::bitset<256> seen;
  for (size_t i = 0; i < kSize; ++i) seen.set(bytes[i]);
  return seen.count() >= kDifferent;
}

class Search {
 public:
  Search()
      : group_(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)),
        point_(EC_POINT_new(group_)),
        context_(BN_CTX_new()) {}

  void Want(const std::string& point, int number) { wanted_[point] = number; }

  // The numbers of the keys in `bytes`.
  std::set<int> In(const std::vector<unsigned char>& bytes, size_t step) {
    std::set<int> found;
    for (size_t at = 0; at + kSize <= bytes.size(); at += step) {
      if (!LooksRandom(&bytes[at])) continue;
      Number number;
      std::copy_n(&bytes[at], kSize, number.begin());
      Try(number, &found);
      std::reverse(number.begin(), number.end());
      Try(number, &found);
    }
    return found;
  }
  uint64_t tried() const { return tried_; }

 private:
  void Try(const Number& number, std::set<int>* found) {
    if (!tried_before_.insert(number).second) return;
    ++tried_;
    BIGNUM* const scalar = BN_bin2bn(number.data(), kSize, nullptr);
    unsigned char octets[65];
    const bool made =
        EC_POINT_mul(group_, point_, scalar, nullptr, nullptr, context_) == 1 &&
        EC_POINT_point2oct(group_, point_, POINT_CONVERSION_UNCOMPRESSED,
                           octets, sizeof octets, context_) == sizeof octets;
    BN_free(scalar);
    if (!made) return;  // infinity: zero, or the order
    std::string text;
    for (const unsigned char octet : octets) {
      char two[3];
      std::snprintf(two, sizeof two, "%02x", octet);
      text += two;
    }
    const auto it = wanted_.find(text);
    if (it == wanted_.end()) return;
    found->insert(it->second);
    tried_before_.erase(number);  // it may lie in several places
  }

  EC_GROUP* const group_;
  EC_POINT* const point_;
  BN_CTX* const context_;
  std::map<std::string, int> wanted_;
  std::set<Number> tried_before_;
  uint64_t tried_ = 0;
};

}  // namespace

int main(int count, char** words) {
  if (count < 3) return 2;
  const std::string process = words[1];
  size_t step = 8;
  Search search;
  int number = 0;
  for (int i = 2; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--every-byte") {
      step = 1;
    } else {
      search.Want(word, number++);
    }
  }
  const int memory = open(("/proc/" + process + "/mem").c_str(), O_RDONLY);
  if (memory < 0) {
    std::perror("open its memory");
    return 2;
  }
  constexpr uint64_t kRoom = uint64_t{1} << 20;
  uint64_t searched = 0;
  for (const Mapping& mapping : Mappings(process)) {
    if (!mapping.writable) continue;
    for (uint64_t at = mapping.begin; at < mapping.end; at += kRoom) {
      // A key may lie across the rooms' border.
      std::vector<unsigned char> bytes(
          std::min(kRoom + kSize, mapping.end - at));
      const ssize_t got =
          pread(memory, bytes.data(), bytes.size(), static_cast<off_t>(at));
      if (got <= 0) continue;  // a guard page
      bytes.resize(static_cast<size_t>(got));
      searched += bytes.size();
      for (const int key : search.In(bytes, step)) {
        std::printf("%d %s %s\n", key, mapping.dumped ? "dumped" : "kept",
                    mapping.name.c_str());
      }
    }
  }
  std::printf("searched %" PRIu64 " tried %" PRIu64 "\n", searched,
              search.tried());
  return 0;
}
