// SPDX-License-Identifier: Apache-2.0
#include "tls/alpn.h"

#include <openssl/ssl.h>
#include <openssl/tls1.h>

#include <string>

#include "base/text.h"
#include "pki/openssl_error.h"

namespace nodeward::tls {
namespace {

// In wire format, the most wanted first. "istio" leads because it promises
// nothing about the stream; "istio-peer-exchange" comes last because Envoy
// writes a metadata frame into the stream of those who agree to it.
constexpr std::string_view kH2 = "\x02h2";
constexpr std::string_view kIstio =
    "\x05istio"
    "\x0eistio-http/1.1"
    "\x0eistio-http/1.0"
    "\x08istio-h2"
    "\x13istio-peer-exchange";

int Select(SSL*, const unsigned char** out, unsigned char* out_size,
           const unsigned char* offered, unsigned int offered_size,
           void* argument) {
  const auto& ours = *static_cast<const std::string_view*>(argument);
  unsigned char* selected = nullptr;
  const int found = SSL_select_next_proto(
      &selected, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
      static_cast<unsigned int>(ours.size()), offered, offered_size);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

// OpenSSL asks Select only when the client offers something at all.
int RequireAlpn(SSL* ssl, int* alert, void*) {
  const unsigned char* data = nullptr;
  size_t size = 0;
  if (SSL_client_hello_get0_ext(
          ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data,
          &size) == 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

}  // namespace

std::string_view OfferedAlpn(Context::Options::Alpn kind) {
  return kind == Context::Options::Alpn::kH2 ? "h2" : "istio";
}

base::Status UseAlpn(ssl_ctx_st* context, Role role,
                     Context::Options::Alpn kind) {
  if (role == Role::kServer) {
    const std::string_view* ours =
        kind == Context::Options::Alpn::kH2 ? &kH2 : &kIstio;
    SSL_CTX_set_alpn_select_cb(context, Select,
                               const_cast<std::string_view*>(ours));
    SSL_CTX_set_client_hello_cb(context, RequireAlpn, nullptr);
    return base::OkStatus();
  }
  const std::string_view name = OfferedAlpn(kind);
  std::string wire(1, static_cast<char>(name.size()));
  wire += name;
  if (SSL_CTX_set_alpn_protos(
          context, reinterpret_cast<const unsigned char*>(wire.data()),
          static_cast<unsigned int>(wire.size())) != 0) {
    return pki::OpenSslStatus("set ALPN");
  }
  return base::OkStatus();
}

}  // namespace nodeward::tls
