// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "model/identity.h"
#include "tls/context.h"
#include "tls/peer_check.h"

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
  // `expected`: a client takes exactly these peers (any one of them, at least
  // one); a server passes none and takes every peer of a trusted domain. A
  // client to servers outside of the mesh passes none: its context knows them.
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
  // True while Read could have more to give: fed ciphertext is unread, or a
  // record was larger than Read's buffer.
  bool has_input() const;

  // kDone once established and the peer's certificate is accepted. A client is
  // done before the server has looked at its certificate; that refusal comes
  // out of Read as kFailed. Never kClosed.
  Step Handshake();
  bool established() const { return established_; }

  // Decrypts into `out`, as many records as fit; kDone sets *count > 0. May
  // put answers (KeyUpdate, alerts) behind output(). kClosed and kFailed come
  // after the data before them, and stay. Before established: as Handshake.
  Step Read(base::MutableByteSpan out, size_t* count);
  // Encrypts all of `plaintext` behind output(); goes on after the peer's
  // close_notify. An error after Close or kFailed. REQUIRES: established().
  base::Status Write(base::ByteSpan plaintext);
  // Puts a close_notify behind output(), once; reading goes on. Nothing before
  // established or after kFailed.
  void Close();

  // Ciphertext to be sent, contiguous; drop what the socket took.
  base::ByteSpan output() const;
  void DropOutput(size_t count);
  // Frees buffers that hold nothing (an idle connection keeps none).
  void Shrink();

  // The verified peer; none before established, or outside of the mesh.
  const std::optional<model::Identity>& peer() const { return check_.peer(); }
  // Hex SHA-256 of the peer's leaf; empty before established.
  std::string PeerCertificateHash() const;
  std::optional<pki::Certificate> PeerCertificate() const;
  // Whether `verifier` takes the peer, too; an error says why not.
  // REQUIRES: established().
  base::Status CheckPeerAgain(const pki::PeerVerifier& verifier) const;
  const Context& context() const { return *context_; }
  std::string alpn() const;
  // Why kFailed: "verify peer certificate: …".
  const base::Status& error() const { return error_; }

 private:
  struct Wire;  // the BIO's two ends
  Session(std::shared_ptr<const Context> context,
          std::vector<model::Identity> expected);
  base::Status SendServerName();
  // The step that an OpenSSL call with `result` came to; kFailed is final.
  Step StepOf(int result, std::string_view doing);
  base::Status FailureOf(std::string_view doing);
  base::Status AlertError(int alert);
  Step Finish(Step step);
  void CheckReplies(size_t output_before);
  base::Status ChangeKeyWhenDue(size_t bytes);

  const std::shared_ptr<const Context> context_;
  PeerCheck check_;
  const std::unique_ptr<Wire> wire_;
  ssl_st* ssl_ = nullptr;
  bool established_ = false;
  bool read_any_ = false;         // the peer has sent application data
  std::optional<Step> finished_;  // kClosed or kFailed, once it is
  uint64_t records_ = 0;          // sent with the current key, about
  size_t replies_ = 0;  // bytes that Read put behind output(), still there
  base::Status error_;
};

}  // namespace nodeward::tls
