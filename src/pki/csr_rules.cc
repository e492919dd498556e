// SPDX-License-Identifier: Apache-2.0
#include "pki/csr_rules.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <set>
#include <string>
#include <string_view>

#include "base/handle.h"
#include "base/text.h"
#include "pki/subject_name.h"

namespace nodeward::pki {
namespace {

void FreeExtensions(STACK_OF(X509_EXTENSION) * list) {
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}
using Extensions = base::Handle<STACK_OF(X509_EXTENSION), FreeExtensions>;
using KeyUsage = base::Handle<ASN1_BIT_STRING, ASN1_BIT_STRING_free>;
using Purposes = base::Handle<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;
using Constraints = base::Handle<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>;

constexpr size_t kShown = 256;  // of a name that a stranger chose

base::Status Refuse(const std::string& message) {
  return absl::FailedPreconditionError(message);
}

std::string_view Text(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, kShown)) {
    shown += c >= 0x20 && c < 0x7f ? c : '?';
  }
  return shown;
}

std::string ObjectText(const ASN1_OBJECT* object) {
  char text[80] = "";
  OBJ_obj2txt(text, sizeof text, object, /*no_name=*/0);
  return text;
}

base::Status CheckSubject(const X509_NAME* subject, const std::string& uri) {
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, i);
    const ASN1_OBJECT* field = X509_NAME_ENTRY_get_object(entry);
    const std::string_view value = Text(X509_NAME_ENTRY_get_data(entry));
    switch (OBJ_obj2nid(field)) {
      case NID_organizationName:
        break;  // istio's agents send an empty one
      case NID_commonName:
        if (!value.empty() && value != uri) {
          return Refuse(base::StrCat("invalid CommonName: ", Shown(value)));
        }
        break;
      default:
        return Refuse(base::StrCat("CSR subject must be empty: it has ",
                                   ObjectText(field)));
    }
  }
  return base::OkStatus();
}

base::Status CheckNames(const GENERAL_NAMES* names,
                        const model::Identity& identity) {
  int uris = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    switch (sk_GENERAL_NAME_value(names, i)->type) {
      case GEN_URI:
        ++uris;
        break;
      case GEN_EMAIL:
        return Refuse("cannot validate email addresses");
      case GEN_IPADD:
        return Refuse("cannot validate IP addresses");
      case GEN_DNS:
        return Refuse("cannot validate DNS names");
      default:
        return Refuse("cannot validate names other than URIs");
    }
  }
  if (uris != 1) return Refuse("CSR must have exactly one URI");
  const std::string_view uri =
      Text(sk_GENERAL_NAME_value(names, 0)->d.uniformResourceIdentifier);
  if (uri != identity.ToSpiffe()) {
    return Refuse(base::StrCat(
        "CSR name does not match requested identity: csr=", Shown(uri),
        "; req=", identity.ToSpiffe()));
  }
  return base::OkStatus();
}

base::Status CheckKeyUsage(X509_EXTENSION* extension) {
  const KeyUsage usage(
      static_cast<ASN1_BIT_STRING*>(X509V3_EXT_d2i(extension)));
  if (usage == nullptr) return Refuse("CSR key usage does not parse");
  for (int bit = 0; bit < ASN1_STRING_length(usage.get()) * 8; ++bit) {
    // 0 digitalSignature, 2 keyEncipherment (RFC 5280 4.2.1.3)
    if (bit != 0 && bit != 2 && ASN1_BIT_STRING_get_bit(usage.get(), bit)) {
      return Refuse(
          "CSR key usage must be within digitalSignature, keyEncipherment");
    }
  }
  return base::OkStatus();
}

base::Status CheckPurposes(X509_EXTENSION* extension) {
  const Purposes purposes(
      static_cast<EXTENDED_KEY_USAGE*>(X509V3_EXT_d2i(extension)));
  if (purposes == nullptr)
    return Refuse("CSR extended key usage does not parse");
  for (int i = 0; i < sk_ASN1_OBJECT_num(purposes.get()); ++i) {
    const int purpose = OBJ_obj2nid(sk_ASN1_OBJECT_value(purposes.get(), i));
    if (purpose != NID_server_auth && purpose != NID_client_auth) {
      return Refuse(
          "CSR extended key usage must be within serverAuth, clientAuth");
    }
  }
  return base::OkStatus();
}

base::Status CheckConstraints(X509_EXTENSION* extension) {
  const Constraints constraints(
      static_cast<BASIC_CONSTRAINTS*>(X509V3_EXT_d2i(extension)));
  if (constraints == nullptr) {
    return Refuse("CSR basic constraints do not parse");
  }
  if (constraints->ca != 0) return Refuse("CSR must not ask for a CA");
  return base::OkStatus();
}

base::Status CheckExtension(X509_EXTENSION* extension,
                            const model::Identity& identity) {
  const ASN1_OBJECT* kind = X509_EXTENSION_get_object(extension);
  switch (OBJ_obj2nid(kind)) {
    case NID_subject_alt_name: {
      const GeneralNames names(
          static_cast<GENERAL_NAMES*>(X509V3_EXT_d2i(extension)));
      if (names == nullptr) return Refuse("CSR names do not parse");
      return CheckNames(names.get(), identity);
    }
    case NID_key_usage:
      return CheckKeyUsage(extension);
    case NID_ext_key_usage:
      return CheckPurposes(extension);
    case NID_basic_constraints:
      return CheckConstraints(extension);
    case NID_subject_key_identifier:
      return base::OkStatus();
    default:
      return Refuse(
          base::StrCat("CSR extension not allowed: ", ObjectText(kind)));
  }
}

// A second list of extensions would be one that nobody has looked at.
base::Status CheckAttributes(const X509_REQ* request) {
  int lists = 0;
  for (int i = 0; i < X509_REQ_get_attr_count(request); ++i) {
    X509_ATTRIBUTE* attribute = X509_REQ_get_attr(request, i);
    const ASN1_OBJECT* kind = X509_ATTRIBUTE_get0_object(attribute);
    const int nid = OBJ_obj2nid(kind);
    if (nid != NID_ext_req && nid != NID_ms_ext_req) {
      return Refuse(
          base::StrCat("CSR attribute not allowed: ", ObjectText(kind)));
    }
    lists += X509_ATTRIBUTE_count(attribute);
  }
  if (lists != 1) return Refuse("CSR must have one list of extensions");
  return base::OkStatus();
}

base::Status CheckExtensions(X509_REQ* request,
                             const model::Identity& identity) {
  NODEWARD_TRY(CheckAttributes(request));
  const Extensions extensions(X509_REQ_get_extensions(request));
  if (extensions == nullptr) return Refuse("CSR extensions do not parse");
  std::set<std::string> seen;
  bool named = false;
  for (int i = 0; i < sk_X509_EXTENSION_num(extensions.get()); ++i) {
    X509_EXTENSION* extension = sk_X509_EXTENSION_value(extensions.get(), i);
    const std::string kind = ObjectText(X509_EXTENSION_get_object(extension));
    if (!seen.insert(kind).second) {
      return Refuse(base::StrCat("CSR has two extensions ", kind));
    }
    NODEWARD_TRY(CheckExtension(extension, identity));
    named |= OBJ_obj2nid(X509_EXTENSION_get_object(extension)) ==
             NID_subject_alt_name;
  }
  if (!named) return Refuse("CSR must have exactly one URI");
  return base::OkStatus();
}

}  // namespace

base::Status CheckRequest(const Csr& csr, const model::Identity& identity) {
  X509_REQ* request = csr.native();
  NODEWARD_TRY(
      CheckSubject(X509_REQ_get_subject_name(request), identity.ToSpiffe()));
  const base::Status status = CheckExtensions(request, identity);
  ERR_clear_error();
  return status;
}

}  // namespace nodeward::pki
