// SPDX-License-Identifier: Apache-2.0
#include "tls/vaes_provider.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tls/pair.h"
#include "tls/raw_peer.h"

namespace {

// Over-aligned memory: among what these tests run, the ciphers' contexts.
struct AlignedMemory {
  std::mutex mutex;
  std::unordered_map<void*, size_t> sizes;
  size_t made = 0;
  size_t freed = 0;
  size_t freed_dirty = 0;

  static AlignedMemory& Get() {
    static auto* const memory = new AlignedMemory;
    return *memory;
  }
};

}  // namespace

void* operator new(size_t size, std::align_val_t alignment,
                   const std::nothrow_t&) noexcept {
  const size_t unit = static_cast<size_t>(alignment);
  void* data = std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
  if (data == nullptr) return nullptr;
  AlignedMemory& memory = AlignedMemory::Get();
  const std::lock_guard lock(memory.mutex);
  memory.sizes[data] = size;
  ++memory.made;
  return data;
}

void* operator new(size_t size, std::align_val_t alignment) {
  void* data = operator new(size, alignment, std::nothrow);
  if (data == nullptr) std::abort();
  return data;
}

void operator delete(void* data, std::align_val_t) noexcept {
  if (data == nullptr) return;
  {
    AlignedMemory& memory = AlignedMemory::Get();
    const std::lock_guard lock(memory.mutex);
    const auto entry = memory.sizes.find(data);
    const auto* bytes = static_cast<const uint8_t*>(data);
    ++memory.freed;
    memory.freed_dirty += static_cast<size_t>(std::any_of(
        bytes, bytes + entry->second, [](uint8_t byte) { return byte != 0; }));
    memory.sizes.erase(entry);
  }
  std::free(data);
}

void operator delete(void* data, size_t, std::align_val_t alignment) noexcept {
  operator delete(data, alignment);
}

namespace nodeward::tls {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Hex(std::string_view text) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(
        std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

bool CpuHasVectors() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && !line.starts_with("flags")) continue;
  std::istringstream words(line);
  size_t found = 0;
  for (std::string word; words >> word;) {
    for (const char* needed :
         {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl",
          "avx512ifma", "vaes", "vpclmulqdq", "gfni", "sha_ni", "bmi2"}) {
      found += static_cast<size_t>(word == needed);
    }
  }
  return found == 11;
}

// A cipher context of one key size, from our library or OpenSSL's.
class Gcm {
 public:
  Gcm(OSSL_LIB_CTX* library, size_t key_size)
      : cipher_(EVP_CIPHER_fetch(
            library, key_size == 16 ? "id-aes128-GCM" : "id-aes256-GCM",
            kVaesFirst)),
        context_(EVP_CIPHER_CTX_new()) {}
  Gcm(const Gcm& other)
      : cipher_(other.cipher_), context_(EVP_CIPHER_CTX_new()) {
    EVP_CIPHER_up_ref(cipher_);
    EXPECT_EQ(EVP_CIPHER_CTX_copy(context_, other.context_), 1);
  }
  Gcm& operator=(const Gcm&) = delete;
  ~Gcm() {
    EVP_CIPHER_CTX_free(context_);
    EVP_CIPHER_free(cipher_);
  }

  const EVP_CIPHER* cipher() const { return cipher_; }
  EVP_CIPHER_CTX* native() const { return context_; }

  // As libssl does: the key without an IV, then an IV for every message.
  bool Start(bool encrypts, const Bytes& key, const Bytes& iv) {
    return EVP_CipherInit_ex(context_, cipher_, nullptr, nullptr, nullptr,
                             encrypts) == 1 &&
           EVP_CipherInit_ex(context_, nullptr, nullptr, key.data(), nullptr,
                             -1) == 1 &&
           Next(encrypts, iv);
  }
  bool Next(bool encrypts, const Bytes& iv) {
    return EVP_CipherInit_ex(context_, nullptr, nullptr, nullptr, iv.data(),
                             encrypts) == 1;
  }
  bool Aad(const uint8_t* data, size_t size) {
    int count = 0;
    return EVP_CipherUpdate(context_, nullptr, &count, data,
                            static_cast<int>(size)) == 1;
  }
  bool Aad(const Bytes& aad) { return Aad(aad.data(), aad.size()); }
  bool Text(uint8_t* out, const uint8_t* in, size_t size) {
    int count = 0;
    return EVP_CipherUpdate(context_, out, &count, in,
                            static_cast<int>(size)) == 1 &&
           count == static_cast<int>(size);
  }
  bool Finish() {
    uint8_t ignored[16];
    int count = 0;
    return EVP_CipherFinal_ex(context_, ignored, &count) == 1 && count == 0;
  }
  bool GetTag(Bytes& tag) {
    return EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG,
                               static_cast<int>(tag.size()), tag.data()) == 1;
  }
  bool SetTag(Bytes tag) {
    return EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG,
                               static_cast<int>(tag.size()), tag.data()) == 1;
  }

 private:
  EVP_CIPHER* cipher_;
  EVP_CIPHER_CTX* context_;
};

struct Sample {
  Bytes key, iv, aad, plain, sealed, tag;
};

Bytes SealAtOnce(OSSL_LIB_CTX* library, const Sample& sample, Bytes* tag) {
  Gcm gcm(library, sample.key.size());
  Bytes out(sample.plain.size());
  tag->resize(16);
  EXPECT_TRUE(gcm.Start(true, sample.key, sample.iv));
  EXPECT_TRUE(gcm.Aad(sample.aad));
  EXPECT_TRUE(gcm.Text(out.data(), sample.plain.data(), out.size()));
  EXPECT_TRUE(gcm.Finish());
  EXPECT_TRUE(gcm.GetTag(*tag));
  return out;
}

// Nothing where the tag does not fit.
std::unique_ptr<Bytes> Open(OSSL_LIB_CTX* library, const Sample& sample) {
  Gcm gcm(library, sample.key.size());
  auto out = std::make_unique<Bytes>(sample.sealed.size());
  EXPECT_TRUE(gcm.Start(false, sample.key, sample.iv));
  EXPECT_TRUE(gcm.SetTag(sample.tag));
  EXPECT_TRUE(gcm.Aad(sample.aad));
  EXPECT_TRUE(gcm.Text(out->data(), sample.sealed.data(), out->size()));
  return gcm.Finish() ? std::move(out) : nullptr;
}

class VaesProviderTest : public testing::Test {
 protected:
  Bytes Random(size_t size) {
    Bytes bytes(size);
    std::generate(bytes.begin(), bytes.end(),
                  [this] { return static_cast<uint8_t>(random_()); });
    return bytes;
  }
  size_t Below(size_t limit) { return random_() % limit; }
  // Sealed by OpenSSL's own provider.
  Sample RandomSample(size_t key_size, size_t text, size_t aad) {
    Sample sample{.key = Random(key_size),
                  .iv = Random(12),
                  .aad = Random(aad),
                  .plain = Random(text),
                  .sealed = {},
                  .tag = {}};
    sample.sealed = SealAtOnce(nullptr, sample, &sample.tag);
    return sample;
  }
  // In place, in pieces of any size.
  bool InPieces(Gcm& gcm, const Bytes& aad, Bytes& text) {
    for (size_t at = 0; at < aad.size();) {
      const size_t size = 1 + Below(aad.size() - at);
      if (!gcm.Aad(aad.data() + at, size)) return false;
      at += size;
    }
    const size_t most = std::max<size_t>(1, text.size() >> Below(12));
    for (size_t at = 0; at < text.size();) {
      const size_t size = std::min(1 + Below(most), text.size() - at);
      if (!gcm.Text(text.data() + at, text.data() + at, size)) return false;
      at += size;
    }
    return true;
  }

  std::mt19937 random_{20240607};
  OSSL_LIB_CTX* const library_ = VaesLibrary();
  const bool ours_ = library_ != nullptr;
};

TEST_F(VaesProviderTest, StandsWhereTheCpuHasTheVectors) {
  EXPECT_EQ(ours_, CpuHasVectors());
  for (const size_t key_size : {16, 32}) {
    const Gcm gcm(library_, key_size);
    EXPECT_STREQ(
        OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(gcm.cipher())),
        ours_ ? "nodeward" : "default");
    const Gcm plain(nullptr, key_size);
    EXPECT_STREQ(
        OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(plain.cipher())),
        "default");
    EXPECT_EQ(EVP_CIPHER_get_flags(gcm.cipher()) & EVP_CIPH_MODE,
              EVP_CIPH_GCM_MODE);
    EXPECT_NE(EVP_CIPHER_get_flags(gcm.cipher()) & EVP_CIPH_FLAG_AEAD_CIPHER,
              0u);
    EXPECT_NE(EVP_CIPHER_get_flags(gcm.cipher()) & EVP_CIPH_CUSTOM_IV, 0u);
    EXPECT_EQ(EVP_CIPHER_get_block_size(gcm.cipher()), 1);
    EXPECT_EQ(EVP_CIPHER_get_iv_length(gcm.cipher()), 12);
    EXPECT_EQ(EVP_CIPHER_get_key_length(gcm.cipher()),
              static_cast<int>(key_size));
    EXPECT_EQ(EVP_CIPHER_get_nid(gcm.cipher()),
              EVP_CIPHER_get_nid(plain.cipher()));
  }
}

// Cases 1-4 and 13-16 of the specification NIST took GCM from.
TEST_F(VaesProviderTest, AgreesWithThePublishedVectors) {
  const std::string zeros(64, '0');
  const std::string key = "feffe9928665731c6d6a8f9467308308";
  const std::string iv = "cafebabefacedbaddecaf888";
  const std::string aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
  const std::string text =
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
  const std::string sealed128 =
      "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
      "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985";
  const std::string sealed256 =
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
  const struct {
    std::string key, iv, aad, plain, sealed, tag;
  } vectors[] = {
      {zeros.substr(32), zeros.substr(40), "", "", "",
       "58e2fccefa7e3061367f1d57a4e7455a"},
      {zeros.substr(32), zeros.substr(40), "", zeros.substr(32),
       "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"},
      {key, iv, "", text, sealed128, "4d5c2af327cd64a62cf35abd2ba6fab4"},
      {key, iv, aad, text.substr(0, 120), sealed128.substr(0, 120),
       "5bc94fbc3221a5db94fae95ae7121a47"},
      {zeros, zeros.substr(40), "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
      {zeros, zeros.substr(40), "", zeros.substr(32),
       "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
      {key + key, iv, "", text, sealed256, "b094dac5d93471bdec1a502270e3cc6c"},
      {key + key, iv, aad, text.substr(0, 120), sealed256.substr(0, 120),
       "76fc6ece0f4e1768cddf8853bb2d551b"}};
  for (const auto& vector : vectors) {
    const Sample sample{Hex(vector.key),   Hex(vector.iv),     Hex(vector.aad),
                        Hex(vector.plain), Hex(vector.sealed), Hex(vector.tag)};
    Bytes tag;
    EXPECT_EQ(SealAtOnce(library_, sample, &tag), sample.sealed) << vector.tag;
    EXPECT_EQ(tag, sample.tag);
    const auto opened = Open(library_, sample);
    ASSERT_NE(opened, nullptr) << vector.tag;
    EXPECT_EQ(*opened, sample.plain);
  }
}

TEST_F(VaesProviderTest, AgreesWithOpenSslOnEveryShortLength) {
  for (const size_t key_size : {16, 32}) {
    for (size_t size = 0; size <= 1100; ++size) {
      const Sample sample = RandomSample(key_size, size, size % 65);
      Bytes tag;
      ASSERT_EQ(SealAtOnce(library_, sample, &tag), sample.sealed) << size;
      ASSERT_EQ(tag, sample.tag) << size;
      const auto opened = Open(library_, sample);
      ASSERT_NE(opened, nullptr) << size;
      ASSERT_EQ(*opened, sample.plain) << size;
    }
  }
}

TEST_F(VaesProviderTest, AgreesWithOpenSslInPiecesAndInPlace) {
  for (int turn = 0; turn < 3000; ++turn) {
    const size_t size = Below(70001) >> Below(8);
    const Sample sample =
        RandomSample(turn % 2 == 0 ? 16 : 32, size, Below(65));
    Gcm gcm(library_, sample.key.size());
    Bytes text = sample.plain;
    Bytes tag(16);
    ASSERT_TRUE(gcm.Start(true, sample.key, sample.iv));
    ASSERT_TRUE(InPieces(gcm, sample.aad, text));
    ASSERT_TRUE(gcm.Finish() && gcm.GetTag(tag));
    ASSERT_EQ(text, sample.sealed) << size;
    ASSERT_EQ(tag, sample.tag) << size;
    // The same context and key turned round.
    ASSERT_TRUE(gcm.Next(false, sample.iv));
    ASSERT_TRUE(gcm.SetTag(sample.tag));
    ASSERT_TRUE(InPieces(gcm, sample.aad, text));
    ASSERT_TRUE(gcm.Finish()) << size;
    ASSERT_EQ(text, sample.plain) << size;
  }
}

TEST_F(VaesProviderTest, RefusesWhatWasChanged) {
  for (int turn = 0; turn < 500; ++turn) {
    const Sample sample =
        RandomSample(turn % 2 == 0 ? 16 : 32, 1 + Below(3000), 1 + Below(64));
    ASSERT_NE(Open(library_, sample), nullptr);
    for (Bytes Sample::*part : {&Sample::key, &Sample::iv, &Sample::aad,
                                &Sample::sealed, &Sample::tag}) {
      Sample changed = sample;
      Bytes& bytes = changed.*part;
      bytes[Below(bytes.size())] ^= static_cast<uint8_t>(1 << Below(8));
      ASSERT_EQ(Open(library_, changed), nullptr) << turn;
    }
    Sample shorter = sample;
    shorter.sealed.pop_back();
    ASSERT_EQ(Open(library_, shorter), nullptr);
    shorter = sample;
    shorter.aad.pop_back();
    ASSERT_EQ(Open(library_, shorter), nullptr);
  }
}

TEST_F(VaesProviderTest, NeedsKeyIvAndTagInTheirTurn) {
  const Sample sample = RandomSample(16, 100, 5);
  Bytes out(100);
  Bytes tag(16);
  Gcm gcm(library_, 16);
  ASSERT_EQ(EVP_CipherInit_ex(gcm.native(), gcm.cipher(), nullptr, nullptr,
                              sample.iv.data(), 1),
            1);
  EXPECT_FALSE(gcm.Text(out.data(), sample.plain.data(), 100)) << "no key";
  Gcm keyed(library_, 16);
  ASSERT_EQ(EVP_CipherInit_ex(keyed.native(), keyed.cipher(), nullptr,
                              sample.key.data(), nullptr, 1),
            1);
  EXPECT_FALSE(keyed.Text(out.data(), sample.plain.data(), 100)) << "no IV";
  EXPECT_FALSE(keyed.Finish()) << "no IV";
  ASSERT_TRUE(keyed.Next(true, sample.iv));
  ASSERT_TRUE(keyed.Text(out.data(), sample.plain.data(), 100));
  EXPECT_FALSE(keyed.Aad(sample.aad)) << "after text";
  EXPECT_FALSE(keyed.GetTag(tag)) << "too early";
  EXPECT_FALSE(keyed.SetTag(sample.tag)) << "encrypts";
  ASSERT_TRUE(keyed.Finish());
  EXPECT_TRUE(keyed.GetTag(tag));
  EXPECT_FALSE(keyed.Text(out.data(), sample.plain.data(), 100)) << "IV used";
  EXPECT_FALSE(keyed.Finish()) << "IV used";

  ASSERT_TRUE(keyed.Next(false, sample.iv));
  ASSERT_TRUE(keyed.Aad(sample.aad));
  ASSERT_TRUE(keyed.Text(out.data(), sample.sealed.data(), 100));
  EXPECT_EQ(out, sample.plain);
  EXPECT_FALSE(keyed.GetTag(tag)) << "decrypts";
  if (ours_) {
    EXPECT_FALSE(keyed.Finish()) << "no tag to compare with";
  }
}

TEST_F(VaesProviderTest, TakesATagThatIsSetBeforeTheIv) {
  const Sample sample = RandomSample(32, 1000, 5);
  Gcm gcm(library_, 32);
  Bytes out(1000);
  ASSERT_EQ(EVP_CipherInit_ex(gcm.native(), gcm.cipher(), nullptr, nullptr,
                              nullptr, 0),
            1);
  ASSERT_TRUE(gcm.SetTag(sample.tag));
  ASSERT_EQ(EVP_CipherInit_ex(gcm.native(), nullptr, nullptr, sample.key.data(),
                              sample.iv.data(), 0),
            1);
  ASSERT_TRUE(gcm.Aad(sample.aad));
  ASSERT_TRUE(gcm.Text(out.data(), sample.sealed.data(), out.size()));
  EXPECT_TRUE(gcm.Finish());
  EXPECT_EQ(out, sample.plain);
}

TEST_F(VaesProviderTest, SaysWhatItDoesNotTake) {
  const Sample sample = RandomSample(16, 10, 64);
  Gcm gcm(library_, 16);
  ASSERT_TRUE(gcm.Start(true, sample.key, sample.iv));
  EXPECT_EQ(
      EVP_CIPHER_CTX_ctrl(gcm.native(), EVP_CTRL_AEAD_SET_IVLEN, 12, nullptr),
      1);
  ASSERT_TRUE(gcm.Aad(sample.aad));
  EXPECT_NE(gcm.Aad(sample.aad.data(), 1), ours_) << "65 bytes";
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(gcm.native(), EVP_CTRL_AEAD_SET_IVLEN, 16,
                                nullptr) == 1,
            ours_);
  uint8_t tls12[13] = {};
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(gcm.native(), EVP_CTRL_GCM_SET_IV_FIXED, 4,
                                tls12) == 1,
            ours_);
  Bytes tag(17);
  EXPECT_FALSE(gcm.SetTag(tag));
}

TEST_F(VaesProviderTest, ACopyGoesItsOwnWay) {
  const Sample sample = RandomSample(16, 5000, 13);
  Gcm gcm(library_, 16);
  Bytes out(5000);
  Bytes tag(16);
  ASSERT_TRUE(gcm.Start(true, sample.key, sample.iv));
  ASSERT_TRUE(gcm.Aad(sample.aad));
  ASSERT_TRUE(gcm.Text(out.data(), sample.plain.data(), 1777));
  for (int copies = 0; copies < 2; ++copies) {
    Gcm copy(gcm);
    ASSERT_TRUE(copy.Text(out.data() + 1777, sample.plain.data() + 1777, 3223));
    ASSERT_TRUE(copy.Finish() && copy.GetTag(tag));
    EXPECT_EQ(out, sample.sealed);
    EXPECT_EQ(tag, sample.tag);
  }
}

TEST_F(VaesProviderTest, WipesWhatItFrees) {
  const AlignedMemory& memory = AlignedMemory::Get();
  const size_t before = memory.freed;
  {
    const Sample sample = RandomSample(32, 333, 5);
    Bytes tag;
    SealAtOnce(library_, sample, &tag);
    EXPECT_NE(Open(library_, sample), nullptr);
  }
  EXPECT_EQ(memory.freed - before, ours_ ? 2u : 0u);
  EXPECT_EQ(memory.freed_dirty, 0u);
}

// A session of ours, and OpenSSL's own ciphers at the other end.
class VaesSessionTest : public TlsTest {
 protected:
  void Exchange(End& end, RawPeer& peer, size_t size) {
    const std::string text(size, 'n');
    const size_t got = end.received.size();
    const size_t given = peer.received.size();
    ASSERT_TRUE(end.Write(text));
    ASSERT_EQ(SSL_write(peer.ssl(), text.data(), static_cast<int>(text.size())),
              static_cast<int>(text.size()));
    peer.Talk(end);
    ASSERT_TRUE(end.session->established()) << end.error();
    EXPECT_EQ(end.received.substr(got), text);
    EXPECT_EQ(peer.received.substr(given), text);
  }
};

TEST_F(VaesSessionTest, TalksWithOpenSslThroughKeyUpdates) {
  for (const char* suite :
       {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"}) {
    End end;
    end.session = MakeSession(MakeContext(Role::kServer, server_credential,
                                          server_bundle, server_options));
    RawPeer peer({.credential = client_credential.get(), .suites = suite});
    peer.Talk(end);
    ASSERT_TRUE(end.session->established()) << end.error();
    EXPECT_STREQ(SSL_get_cipher_name(peer.ssl()), suite);
    int exchanges = 0;
    for (const size_t size : {1, 15, 16, 17, 1000, 16384, 16385, 70000}) {
      Exchange(end, peer, size);
      // The session, which writes first, answers one exchange later.
      EXPECT_EQ(peer.key_updates, std::max(0, exchanges - 1));
      ++exchanges;
      ASSERT_EQ(SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    }
  }
}

TEST_F(VaesSessionTest, RefusesARecordThatWasChanged) {
  End end;
  end.session =
      MakeSession(MakeContext(Role::kServer, server_credential, server_bundle));
  RawPeer peer({.credential = client_credential.get()});
  peer.Talk(end);
  ASSERT_TRUE(end.session->established()) << end.error();
  ASSERT_EQ(SSL_write(peer.ssl(), "hello", 5), 5);
  Bytes record = peer.TakeOutput();
  record.back() ^= 1;
  end.Take(base::AsText(record));
  EXPECT_EQ(end.step, Step::kFailed);
  EXPECT_EQ(end.received, "");
}

TEST_F(VaesSessionTest, SessionsUseTheseCiphersAndWipeTheirKeys) {
  const AlignedMemory& memory = AlignedMemory::Get();
  const size_t made = memory.made;
  const size_t live = memory.sizes.size();
  {
    const Pair pair = Connected();
    // Two directions at two ends.
    EXPECT_GE(memory.made - made, VaesLibrary() == nullptr ? 0u : 4u);
  }
  EXPECT_EQ(memory.sizes.size(), live);
  EXPECT_EQ(memory.freed_dirty, 0u);
}

}  // namespace
}  // namespace nodeward::tls
