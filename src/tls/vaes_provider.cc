// SPDX-License-Identifier: Apache-2.0
#include "tls/vaes_provider.h"

#ifdef __x86_64__

#include <intel-ipsec-mb.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/proverr.h>
#include <openssl/provider.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

namespace nodeward::tls {
namespace {

constexpr size_t kIvSize = IMB_GCM_IV_DATA_LEN;
constexpr size_t kTagSize = 16;
constexpr size_t kMaxAad = 64;  // TLS has 5
// NIST SP 800-38D 5.2.1.1: what the 32-bit block counter reaches.
constexpr uint64_t kMaxText = (uint64_t{1} << 36) - 32;

// ipsec-mb's functions for one key size.
struct Gcm {
  size_t key_size;
  aes_gcm_pre_t expand;
  aes_gcm_init_t begin;
  aes_gcm_enc_dec_update_t encrypt;
  aes_gcm_enc_dec_update_t decrypt;
  aes_gcm_enc_dec_finalize_t encrypt_tag;
  aes_gcm_enc_dec_finalize_t decrypt_tag;
};

struct Ciphers {
  Gcm aes128;
  Gcm aes256;
};

// What EVP_CIPHER_CTX holds. ipsec-mb wants the whole of the associated data
// when a message begins, so it waits here for the first byte of text.
struct alignas(64) Message {
  enum class Stage { kNoIv, kIv, kAad, kText };

  gcm_key_data key;
  gcm_context_data state;
  const Gcm* gcm;
  uint64_t text_size;
  size_t aad_size;
  size_t tag_size;  // 0: none yet
  Stage stage;
  bool encrypts;
  bool has_key;
  uint8_t iv[kIvSize];
  uint8_t tag[kTagSize];
  uint8_t aad[kMaxAad];
};

int Refuse(int reason) {
  ERR_raise(ERR_LIB_PROV, reason);
  return 0;
}

template <const Gcm Ciphers::*kGcm>
void* New(void* provider) {
  auto* message = new (std::nothrow) Message{};
  if (message == nullptr) {
    ERR_raise(ERR_LIB_PROV, ERR_R_MALLOC_FAILURE);
    return nullptr;
  }
  message->gcm = &(static_cast<const Ciphers*>(provider)->*kGcm);
  return message;
}

void Free(void* context) {
  if (context == nullptr) return;
  OPENSSL_cleanse(context, sizeof(Message));
  delete static_cast<Message*>(context);
}

void* Duplicate(void* context) {
  auto* copy = new (std::nothrow) Message(*static_cast<Message*>(context));
  if (copy == nullptr) ERR_raise(ERR_LIB_PROV, ERR_R_MALLOC_FAILURE);
  return copy;
}

int SetParams(void* context, const OSSL_PARAM* params) {
  auto& message = *static_cast<Message*>(context);
  if (params == nullptr) return 1;
  // Ignoring these would leave TLS 1.2 with an IV that nobody has set.
  if (OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD) ||
      OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED)) {
    return Refuse(ERR_R_UNSUPPORTED);
  }
  if (const OSSL_PARAM* size =
          OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_IVLEN)) {
    size_t value = 0;
    if (OSSL_PARAM_get_size_t(size, &value) != 1 || value != kIvSize) {
      return Refuse(PROV_R_INVALID_IV_LENGTH);
    }
  }
  if (const OSSL_PARAM* tag =
          OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TAG)) {
    void* into = message.tag;
    size_t size = 0;
    if (message.encrypts ||
        OSSL_PARAM_get_octet_string(tag, &into, kTagSize, &size) != 1 ||
        size == 0) {
      return Refuse(PROV_R_INVALID_TAG);
    }
    message.tag_size = size;
  }
  return 1;
}

int Start(void* context, bool encrypts, const uint8_t* key, size_t key_size,
          const uint8_t* iv, size_t iv_size, const OSSL_PARAM* params) {
  auto& message = *static_cast<Message*>(context);
  // A tag to expect may be set before the IV; a tag that was made may not
  // become one.
  if (encrypts || message.encrypts) message.tag_size = 0;
  message.encrypts = encrypts;
  // A message that was left unfinished does not go on.
  if (message.stage > Message::Stage::kIv) {
    message.stage = Message::Stage::kNoIv;
  }
  if (key != nullptr) {
    if (key_size != message.gcm->key_size) {
      return Refuse(PROV_R_INVALID_KEY_LENGTH);
    }
    message.gcm->expand(key, &message.key);
    message.has_key = true;
  }
  if (iv != nullptr) {
    if (iv_size != kIvSize) return Refuse(PROV_R_INVALID_IV_LENGTH);
    std::memcpy(message.iv, iv, kIvSize);
    message.stage = Message::Stage::kIv;
    message.aad_size = 0;
    message.text_size = 0;
  }
  return SetParams(context, params);
}

int StartEncryption(void* context, const uint8_t* key, size_t key_size,
                    const uint8_t* iv, size_t iv_size,
                    const OSSL_PARAM* params) {
  return Start(context, true, key, key_size, iv, iv_size, params);
}

int StartDecryption(void* context, const uint8_t* key, size_t key_size,
                    const uint8_t* iv, size_t iv_size,
                    const OSSL_PARAM* params) {
  return Start(context, false, key, key_size, iv, iv_size, params);
}

int AddAad(Message& message, const uint8_t* in, size_t in_size) {
  if (message.stage == Message::Stage::kText) {
    return Refuse(PROV_R_CIPHER_OPERATION_FAILED);
  }
  if (in_size > kMaxAad - message.aad_size) {
    return Refuse(PROV_R_INVALID_AAD);
  }
  std::memcpy(message.aad + message.aad_size, in, in_size);
  message.aad_size += in_size;
  message.stage = Message::Stage::kAad;
  return 1;
}

bool BeginText(Message& message) {
  if (!message.has_key) return Refuse(PROV_R_NO_KEY_SET);
  if (message.stage == Message::Stage::kNoIv) {
    return Refuse(PROV_R_CIPHER_OPERATION_FAILED);
  }
  if (message.stage != Message::Stage::kText) {
    message.gcm->begin(&message.key, &message.state, message.iv, message.aad,
                       message.aad_size);
    message.stage = Message::Stage::kText;
  }
  return true;
}

// EVP's convention: no `out` means that `in` is associated data.
int Update(void* context, uint8_t* out, size_t* out_size, size_t room,
           const uint8_t* in, size_t in_size) {
  auto& message = *static_cast<Message*>(context);
  *out_size = 0;
  if (in_size == 0) return 1;
  if (message.stage == Message::Stage::kNoIv) {
    return Refuse(PROV_R_CIPHER_OPERATION_FAILED);
  }
  if (out == nullptr) {
    *out_size = in_size;
    return AddAad(message, in, in_size);
  }
  if (room < in_size) return Refuse(PROV_R_OUTPUT_BUFFER_TOO_SMALL);
  if (in_size > kMaxText - message.text_size) {
    return Refuse(PROV_R_CIPHER_OPERATION_FAILED);
  }
  if (!BeginText(message)) return 0;
  const Gcm& gcm = *message.gcm;
  (message.encrypts ? gcm.encrypt : gcm.decrypt)(&message.key, &message.state,
                                                 out, in, in_size);
  message.text_size += in_size;
  *out_size = in_size;
  return 1;
}

int Finish(void* context, uint8_t*, size_t* out_size, size_t) {
  auto& message = *static_cast<Message*>(context);
  *out_size = 0;
  if (!BeginText(message)) return 0;
  const Gcm& gcm = *message.gcm;
  uint8_t tag[kTagSize];
  (message.encrypts ? gcm.encrypt_tag : gcm.decrypt_tag)(
      &message.key, &message.state, tag, kTagSize);
  // An IV is good for one message.
  message.stage = Message::Stage::kNoIv;
  if (message.encrypts) {
    std::memcpy(message.tag, tag, kTagSize);
    message.tag_size = kTagSize;
    return 1;
  }
  const bool genuine = message.tag_size > 0 &&
                       CRYPTO_memcmp(tag, message.tag, message.tag_size) == 0;
  // The right tag of a forged message is the forger's wish.
  OPENSSL_cleanse(tag, kTagSize);
  message.tag_size = 0;
  return genuine ? 1 : 0;
}

bool SetSize(OSSL_PARAM* params, const char* name, size_t value) {
  OSSL_PARAM* param = OSSL_PARAM_locate(params, name);
  return param == nullptr || OSSL_PARAM_set_size_t(param, value) == 1;
}

template <size_t kKeySize>
int GetParams(OSSL_PARAM* params) {
  OSSL_PARAM* mode = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_MODE);
  OSSL_PARAM* aead = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD);
  OSSL_PARAM* own_iv = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_CUSTOM_IV);
  return (mode == nullptr || OSSL_PARAM_set_uint(mode, EVP_CIPH_GCM_MODE)) &&
         (aead == nullptr || OSSL_PARAM_set_int(aead, 1)) &&
         (own_iv == nullptr || OSSL_PARAM_set_int(own_iv, 1)) &&
         SetSize(params, OSSL_CIPHER_PARAM_KEYLEN, kKeySize) &&
         SetSize(params, OSSL_CIPHER_PARAM_IVLEN, kIvSize) &&
         SetSize(params, OSSL_CIPHER_PARAM_BLOCK_SIZE, 1);
}

int GetContextParams(void* context, OSSL_PARAM* params) {
  const auto& message = *static_cast<Message*>(context);
  if (OSSL_PARAM* tag = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TAG)) {
    if (!message.encrypts || message.tag_size == 0 ||
        tag->data_size > message.tag_size) {
      return Refuse(PROV_R_INVALID_TAG);
    }
    if (OSSL_PARAM_set_octet_string(tag, message.tag, tag->data_size) != 1) {
      return 0;
    }
  }
  return SetSize(params, OSSL_CIPHER_PARAM_KEYLEN, message.gcm->key_size) &&
         SetSize(params, OSSL_CIPHER_PARAM_IVLEN, kIvSize) &&
         SetSize(params, OSSL_CIPHER_PARAM_AEAD_TAGLEN, kTagSize);
}

const OSSL_PARAM* GettableContextParams(void*, void*) {
  static const OSSL_PARAM params[] = {
      OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, nullptr),
      OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, nullptr),
      OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TAGLEN, nullptr),
      OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, nullptr, 0),
      OSSL_PARAM_END};
  return params;
}

const OSSL_PARAM* SettableContextParams(void*, void*) {
  static const OSSL_PARAM params[] = {
      OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, nullptr),
      OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, nullptr, 0),
      OSSL_PARAM_END};
  return params;
}

template <typename F>
OSSL_DISPATCH Entry(int id, F* function) {
  return {id, reinterpret_cast<void (*)()>(function)};
}

template <const Gcm Ciphers::*kGcm, size_t kKeySize>
const OSSL_DISPATCH* CipherTable() {
  static const OSSL_DISPATCH table[] = {
      Entry(OSSL_FUNC_CIPHER_NEWCTX, New<kGcm>),
      Entry(OSSL_FUNC_CIPHER_FREECTX, Free),
      Entry(OSSL_FUNC_CIPHER_DUPCTX, Duplicate),
      Entry(OSSL_FUNC_CIPHER_ENCRYPT_INIT, StartEncryption),
      Entry(OSSL_FUNC_CIPHER_DECRYPT_INIT, StartDecryption),
      Entry(OSSL_FUNC_CIPHER_UPDATE, Update),
      Entry(OSSL_FUNC_CIPHER_FINAL, Finish),
      Entry(OSSL_FUNC_CIPHER_GET_PARAMS, GetParams<kKeySize>),
      Entry(OSSL_FUNC_CIPHER_GET_CTX_PARAMS, GetContextParams),
      Entry(OSSL_FUNC_CIPHER_SET_CTX_PARAMS, SetParams),
      Entry(OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS, GettableContextParams),
      Entry(OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS, SettableContextParams),
      {0, nullptr}};
  return table;
}

const OSSL_ALGORITHM* Query(void*, int operation, int* no_cache) {
  // Names as OpenSSL's own provider spells them; TLS asks for the second one.
  static const OSSL_ALGORITHM ciphers[] = {
      {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", "provider=nodeward",
       CipherTable<&Ciphers::aes128, IMB_GCM_128_KEY_LEN>(), "ipsec-mb"},
      {"AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46", "provider=nodeward",
       CipherTable<&Ciphers::aes256, IMB_GCM_256_KEY_LEN>(), "ipsec-mb"},
      {nullptr, nullptr, nullptr, nullptr}};
  *no_cache = 0;
  return operation == OSSL_OP_CIPHER ? ciphers : nullptr;
}

// The functions themselves keep nothing in the manager, so it does not stay.
bool LoadCiphers(Ciphers& ciphers) {
  // ipsec-mb asks the CPU alone; this asks also what the kernel saves.
  if (!__builtin_cpu_supports("avx512f")) return false;
  const std::unique_ptr<IMB_MGR, decltype(&free_mb_mgr)> manager(
      alloc_mb_mgr(0), &free_mb_mgr);
  constexpr uint64_t kNeeded = IMB_CPUFLAGS_AVX512_T2;
  if (manager == nullptr || (manager->features & kNeeded) != kNeeded) {
    return false;
  }
  init_mb_mgr_avx512(manager.get());
  if ((manager->features & IMB_FEATURE_SELF_TEST_PASS) == 0) return false;
  const IMB_MGR& m = *manager;
  ciphers.aes128 = {IMB_GCM_128_KEY_LEN,  m.gcm128_pre,
                    m.gcm128_init,        m.gcm128_enc_update,
                    m.gcm128_dec_update,  m.gcm128_enc_finalize,
                    m.gcm128_dec_finalize};
  ciphers.aes256 = {IMB_GCM_256_KEY_LEN,  m.gcm256_pre,
                    m.gcm256_init,        m.gcm256_enc_update,
                    m.gcm256_dec_update,  m.gcm256_enc_finalize,
                    m.gcm256_dec_finalize};
  return true;
}

int InitProvider(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*,
                 const OSSL_DISPATCH** out, void** context) {
  static Ciphers ciphers;
  static const bool loaded = LoadCiphers(ciphers);
  if (!loaded) return 0;
  static const OSSL_DISPATCH table[] = {
      Entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, Query), {0, nullptr}};
  *out = table;
  *context = &ciphers;
  return 1;
}

// What OpenSSL keeps for a thread (random generators) in a library context
// other than its own is freed on request only: OPENSSL_thread_stop_ex(3).
class ThreadState {
 public:
  explicit ThreadState(OSSL_LIB_CTX* library) : library_(library) {}
  ~ThreadState() {
    if (library_ != nullptr) OPENSSL_thread_stop_ex(library_);
  }
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;

 private:
  OSSL_LIB_CTX* const library_;
};

// A library context with both providers; empty where ours cannot be had.
// Destroyed before OpenSSL's own state: nobody has a session any more at exit.
class Library {
 public:
  Library() : context_(OSSL_LIB_CTX_new()) {
    if (context_ != nullptr &&
        OSSL_PROVIDER_add_builtin(context_, "nodeward", InitProvider) == 1) {
      ours_ = OSSL_PROVIDER_load(context_, "nodeward");
      if (ours_ != nullptr) rest_ = OSSL_PROVIDER_load(context_, "default");
    }
    if (rest_ != nullptr) return;
    // Not an error of whoever asks OpenSSL for one next.
    ERR_clear_error();
    Free();
  }
  ~Library() { Free(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  OSSL_LIB_CTX* context() const { return context_; }

 private:
  void Free() {
    for (OSSL_PROVIDER* provider : {rest_, ours_}) {
      if (provider != nullptr) OSSL_PROVIDER_unload(provider);
    }
    OSSL_LIB_CTX_free(context_);
    context_ = nullptr;
    ours_ = rest_ = nullptr;
  }

  OSSL_LIB_CTX* context_;
  OSSL_PROVIDER* ours_ = nullptr;
  OSSL_PROVIDER* rest_ = nullptr;
};

}  // namespace

OSSL_LIB_CTX* VaesLibrary() {
  static const Library library;
  thread_local const ThreadState state(library.context());
  return library.context();
}

}  // namespace nodeward::tls

#else  // ipsec-mb is for amd64 alone.

namespace nodeward::tls {

OSSL_LIB_CTX* VaesLibrary() { return nullptr; }

}  // namespace nodeward::tls

#endif
