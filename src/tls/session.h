// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "model/identity.h"
#include "tls/context.h"

struct ssl_st;

namespace nodeward::tls {

// What a step of the engine came to. Wanting more input is a value.
enum class Step {
  kDone,       // handshake finished / bytes were produced
  kWantInput,  // feed more ciphertext
  kClosed,     // the peer's close_notify
  kFailed,     // see Session::error(); pending output may hold an alert
};

// One TLS connection without a socket. One thread.
//
//   session->Feed(bytes from the socket);
//   if (!session->established()) session->Handshake();
//   while (session->Read(buffer, &n) == Step::kDone) { … n plaintext bytes … }
//   send(session->output()); session->DropOutput(sent);
class Session {
 public:
  // `expected`: a client takes exactly these peers (any one of them); a server
  // passes none and takes every peer of a trusted domain.
  static base::StatusOr<std::unique_ptr<Session>> Create(
      std::shared_ptr<const Context> context,
      std::vector<model::Identity> expected);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Ciphertext from the peer. The bytes are borrowed only until the next
  // Handshake/Read that returns kWantInput, or until Retain.
  void Feed(base::ByteSpan ciphertext);
  // Copies what Feed borrowed and nobody has read yet; the caller's buffer is
  // free again.
  void Retain();
  // True while fed ciphertext is still unread.
  bool has_input() const;

  // kDone once established and the peer's certificate is accepted.
  Step Handshake();
  bool established() const { return established_; }

  // Decrypts into `out`; kDone sets *count > 0.
  Step Read(base::MutableByteSpan out, size_t* count);
  // Encrypts all of `plaintext` behind output(). REQUIRES: established().
  base::Status Write(base::ByteSpan plaintext);
  // Puts a close_notify behind output().
  void Close();

  // Ciphertext to be sent, contiguous; drop what the socket took.
  base::ByteSpan output() const;
  void DropOutput(size_t count);
  // Frees buffers that hold nothing (an idle connection keeps none).
  void Shrink();

  // Of the verified peer; none before established.
  const std::optional<model::Identity>& peer() const { return peer_; }
  // Hex SHA-256 and expiry of the peer's leaf.
  std::string PeerCertificateHash() const;
  std::optional<pki::Certificate> PeerCertificate() const;
  std::string alpn() const;
  // Why kFailed: "verify peer certificate: …".
  const base::Status& error() const { return error_; }

 private:
  struct Wire;  // the BIO's two ends
  Session() = default;
  Step Fail(int result, std::string_view doing);
  base::Status CheckPeer();

  std::shared_ptr<const Context> context_;
  std::vector<model::Identity> expected_;
  std::unique_ptr<Wire> wire_;
  ssl_st* ssl_ = nullptr;
  bool established_ = false;
  std::optional<model::Identity> peer_;
  base::Status error_;
};

}  // namespace nodeward::tls
