// SPDX-License-Identifier: Apache-2.0
#include "pki/client_material.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "base/handle.h"
#include "base/text.h"
#include "pki/chain.h"
#include "pki/openssl_error.h"
#include "pki/revocation.h"

namespace nodeward::pki {
namespace {

using StoreContext = base::Handle<X509_STORE_CTX, X509_STORE_CTX_free>;
using GeneralNames = base::Handle<GENERAL_NAMES, GENERAL_NAMES_free>;

constexpr int kMaxDepth = 6;
constexpr int kSecurityLevel = 2;  // as for peers of the mesh

// Never the subject's CN, as clients have it since RFC 6125.
constexpr unsigned int kHostFlags =
    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

bool HasUri(X509* leaf, const std::string& name) {
  const GeneralNames names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* each = sk_GENERAL_NAME_value(names.get(), i);
    if (each->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = each->d.uniformResourceIdentifier;
    if (std::string_view(
            reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
            static_cast<size_t>(ASN1_STRING_length(uri))) == name) {
      return true;
    }
  }
  return false;
}

bool HasName(X509* leaf, const std::string& name) {
  const bool has = X509_check_host(leaf, name.data(), name.size(), kHostFlags,
                                   nullptr) == 1 ||
                   X509_check_ip_asc(leaf, name.c_str(), 0) == 1 ||
                   HasUri(leaf, name);
  ERR_clear_error();
  return has;
}

base::Status CheckNames(X509* leaf, const ExpectedServer& names) {
  std::vector<std::string> wanted = names.names;
  if (wanted.empty() && !names.sni.empty()) wanted.push_back(names.sni);
  if (wanted.empty() ||
      std::any_of(wanted.begin(), wanted.end(),
                  [leaf](const auto& name) { return HasName(leaf, name); })) {
    return base::OkStatus();
  }
  std::string list;
  for (const std::string& name : wanted) {
    base::StrAppend(&list, list.empty() ? "" : " or ", name);
  }
  return absl::UnauthenticatedError(base::StrCat(
      "the server's certificate \"", Certificate::FromNative(leaf).Subject(),
      "\" is not for ", list, " (no such subject alternative name)"));
}

base::Status InFile(const base::Status& status,
                    const ClientMaterial::Text& text) {
  return base::Annotate(status, text.name);
}

}  // namespace

base::StatusOr<std::shared_ptr<const ClientMaterial>> ClientMaterial::Create(
    const Texts& texts) {
  std::shared_ptr<ClientMaterial> material(new ClientMaterial());
  if (texts.certificate.has_value() && texts.key.has_value()) {
    NODEWARD_TRY(material->ReadPair(*texts.certificate, *texts.key));
  }
  NODEWARD_TRY(material->MakeStore(texts));
  return material;
}

ClientMaterial::~ClientMaterial() { X509_STORE_free(store_); }

base::Status ClientMaterial::ReadPair(const Text& certificate,
                                      const Text& key) {
  auto chain = Certificate::ParsePemBundle(certificate.pem);
  if (!chain.ok()) return InFile(chain.status(), certificate);
  chain_ = *std::move(chain);
  auto parsed = PrivateKey::ParsePem(key.pem);
  if (!parsed.ok()) return InFile(parsed.status(), key);
  key_ = *std::move(parsed);
  if (!chain_.front().Matches(*key_)) {
    return absl::InvalidArgumentError(
        base::StrCat("the key in ", key.name,
                     " is not that of the certificate"
                     " in ",
                     certificate.name));
  }
  return base::OkStatus();
}

base::Status ClientMaterial::MakeStore(const Texts& texts) {
  store_ = X509_STORE_new();
  if (store_ == nullptr) return OpenSslStatus("make certificate store");
  if (texts.roots.has_value()) {
    auto roots = Certificate::ParsePemBundle(texts.roots->pem);
    if (!roots.ok()) return InFile(roots.status(), *texts.roots);
    NODEWARD_TRY(AddRoots(store_, *roots));
  } else if (X509_STORE_set_default_paths(store_) != 1) {
    return OpenSslStatus("load the system's roots");
  }
  ERR_clear_error();
  if (!texts.revocations.has_value()) return base::OkStatus();
  auto lists = RevocationList::ParsePemBundle(texts.revocations->pem);
  if (!lists.ok()) return InFile(lists.status(), *texts.revocations);
  for (const RevocationList& list : *lists) {
    if (X509_STORE_add_crl(store_, list.native()) != 1) {
      return OpenSslStatus("add revocation list");
    }
  }
  X509_STORE_set_flags(store_,
                       X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return base::OkStatus();
}

base::Status ClientMaterial::CheckServer(const Presented& peer,
                                         const ExpectedServer& names,
                                         int* code) const {
  *code = X509_V_OK;
  if (names.anybody) return base::OkStatus();
  StoreContext context(X509_STORE_CTX_new());
  if (context == nullptr ||
      X509_STORE_CTX_init(context.get(), store_, peer.leaf, peer.others) != 1) {
    *code = X509_V_ERR_UNSPECIFIED;
    return OpenSslStatus("verify certificate path");
  }
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_depth(param, kMaxDepth);
  X509_VERIFY_PARAM_set_auth_level(param, kSecurityLevel);
  const int verified = X509_verify_cert(context.get());
  ERR_clear_error();
  if (verified != 1) {
    *code = X509_STORE_CTX_get_error(context.get());
    if (*code == X509_V_OK) *code = X509_V_ERR_UNSPECIFIED;
    return ChainError(context.get());
  }
  base::Status named = CheckNames(peer.leaf, names);
  if (!named.ok()) *code = X509_V_ERR_HOSTNAME_MISMATCH;
  return named;
}

std::string ClientMaterials::KeyOf(const model::Workload& client,
                                   const model::ClientTls& tls) {
  std::string key = client.uid;
  for (const std::string_view part :
       {ClientTlsModeText(tls.mode), std::string_view(tls.client_certificate),
        std::string_view(tls.private_key),
        std::string_view(tls.ca_certificates), std::string_view(tls.ca_crl),
        std::string_view(tls.credential_name),
        std::string_view(tls.insecure_skip_verify ? "skip" : "")}) {
    key.push_back('\n');
    key += part;
  }
  return key;
}

}  // namespace nodeward::pki
