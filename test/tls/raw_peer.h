// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <vector>

#include "tls/pair.h"

namespace nodeward::tls {

// An OpenSSL peer with memory BIOs that does what our own sessions never do.
class RawPeer {
 public:
  struct Options {
    bool server = false;
    const pki::Credential* credential = nullptr;  // null: no certificate
    std::string alpn = "\x02h2";  // offered by a client; empty: none
    int max_version = TLS1_3_VERSION;
    std::string suites = {};  // empty: the library's
    std::string groups = {};
  };

  explicit RawPeer(const Options& options) {
    context_ =
        SSL_CTX_new(options.server ? TLS_server_method() : TLS_client_method());
    SSL_CTX_set_max_proto_version(context_, options.max_version);
    if (!options.suites.empty()) {
      SSL_CTX_set_ciphersuites(context_, options.suites.c_str());
    }
    if (!options.groups.empty()) {
      SSL_CTX_set1_groups_list(context_, options.groups.c_str());
    }
    if (options.credential != nullptr) {
      SSL_CTX_use_certificate(context_, options.credential->leaf().native());
      SSL_CTX_use_PrivateKey(context_, options.credential->key.native());
    }
    ssl_ = SSL_new(context_);
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (!options.alpn.empty()) {
      SSL_set_alpn_protos(
          ssl_, reinterpret_cast<const unsigned char*>(options.alpn.data()),
          static_cast<unsigned int>(options.alpn.size()));
    }
    SSL_set_msg_callback_arg(ssl_, this);
    SSL_set_msg_callback(ssl_, [](int write, int, int type, const void* data,
                                  size_t size, SSL*, void* self) {
      const auto* bytes = static_cast<const uint8_t*>(data);
      if (write == 0 && type == SSL3_RT_HANDSHAKE && size > 0 &&
          bytes[0] == SSL3_MT_KEY_UPDATE) {
        ++static_cast<RawPeer*>(self)->key_updates;
      }
    });
    if (options.server) {
      SSL_set_accept_state(ssl_);
    } else {
      SSL_set_connect_state(ssl_);
    }
  }
  ~RawPeer() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  // What it has to say.
  std::vector<uint8_t> TakeOutput() {
    char* data = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl_), &data);
    std::vector<uint8_t> bytes(data, data + size);
    (void)BIO_reset(SSL_get_wbio(ssl_));
    return bytes;
  }
  void Feed(base::ByteSpan bytes) {
    BIO_write(SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
  }
  // Shakes hands and reads as far as possible.
  void Turn() {
    char buffer[4096];
    while (true) {
      const int count = SSL_read(ssl_, buffer, sizeof(buffer));
      if (count <= 0) break;
      received.append(buffer, static_cast<size_t>(count));
    }
  }
  // Talks with `end` until neither has anything to say.
  void Talk(End& end) {
    Turn();
    end.Turn();
    for (;;) {
      const std::vector<uint8_t> bytes = TakeOutput();
      if (bytes.empty() && end.session->output().empty()) return;
      end.Take(base::AsText(bytes));
      Feed(end.session->output());
      end.session->DropOutput(end.session->output().size());
      Turn();
    }
  }
  SSL* ssl() const { return ssl_; }

  std::string received;
  int key_updates = 0;  // received

 private:
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
};

}  // namespace nodeward::tls
