// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/ip.h"
#include "hbone/channel.h"
#include "hbone/expiry.h"
#include "hbone/flow_record.h"
#include "hbone/http_channel.h"
#include "hbone/pod.h"
#include "hbone/relay.h"
#include "hbone/tap_point.h"
#include "hbone/tls_channel.h"
#include "io/loop.h"
#include "model/identity.h"
#include "model/policy.h"
#include "policy/verdict.h"
#include "tls/client_hello.h"

namespace nodeward::hbone {

// A connection to a port of the pod that came in no tunnel. What its first
// bytes are, looked at and not read, decides together with policy:
//
//   mTLS mode    mesh ClientHello   other TLS     else         silence
//   STRICT       terminated here    RST           RST          RST
//   PERMISSIVE   terminated here    passed on     passed on    server first
//   DISABLE      passed on          passed on     passed on    passed on
//
// An RST leaves the bytes unread, and under STRICT the application is never
// dialled for it. Where plaintext is admitted the application is dialled at
// once; if it speaks first, and sniff_wait is over, the stream is plaintext.
//
// Where HTTP is spoken, nothing else passes: the application is behind an
// HttpChannel, it does not speak first, and TLS of its own is refused.
class InboundPlain final : public Member, public ChannelUser, public RelayUser {
 public:
  static void Accept(Worker* worker, Pod* pod, base::Fd fd,
                     const base::Endpoint& peer);

  InboundPlain(Worker* worker, Pod* pod, const base::Endpoint& peer);

  void Abort(observe::Outcome outcome, std::string detail) override;
  void Judge() override;
  void CheckPeer() override;

 private:
  enum class State {
    kSniffing,     // what is it?
    kHandshaking,  // TLS is terminated here
    kDialing,      // decided; the application is not connected yet
    kRelaying,
    kOver,
  };

  void Start(base::Fd fd);
  // Policy for what is still being sniffed.
  void Consider();
  bool AdmitsPlaintext();
  // REQUIRES: the pod's workload is known.
  policy::Verdict Decide(std::optional<model::Identity> peer) const;
  void Sniff();
  void Pass(observe::Security security);
  void DenyPlaintext();
  void DealWithHello(const tls::Sniffed& hello);
  void Terminate();
  void Handshake();
  void Dial();
  void DropApplication();
  void CheckDial();
  void Relaying();
  void OnTimer();

  void OnChannel() override;
  void OnRelayEnd(RelayEnd end) override;
  void Finish(observe::Outcome outcome, std::string detail, bool reset);

  State state_ = State::kSniffing;
  FlowRecord record_;
  const base::IpAddress source_;
  base::Endpoint local_;
  std::unique_ptr<Channel> client_;
  TlsChannel* tls_ = nullptr;  // client_, when it is one
  // What client_ was before TLS: the call that saw the ClientHello comes from
  // it.
  std::unique_ptr<Channel> sniffed_;
  std::unique_ptr<Channel> application_;
  HttpChannel* http_ = nullptr;  // application_, when it is one
  std::unique_ptr<TapPoint> tap_;
  std::optional<Relay> relay_;
  model::MtlsMode mode_ = model::MtlsMode::kStrict;
  bool speaks_http_ = false;
  bool plaintext_ = false;   // admitted
  bool sniff_over_ = false;  // the application may speak first now
  std::optional<model::Identity> identity_;
  std::string sni_;  // of the client's hello
  io::Timer timer_;  // silence, sniff wait, handshake
  io::Timer dial_deadline_;
  Expiry expiry_;
  bool captured_ = false;
};

}  // namespace nodeward::hbone
