// SPDX-License-Identifier: Apache-2.0
#include "discovery/destination_rule.h"

#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "discovery/security.h"

namespace nodeward::discovery {
namespace {

using model::ClientTls;
using model::DestinationRule;
using Mode = model::ClientTls::Mode;

constexpr std::string_view kClusterSuffix = ".svc.cluster.local";

void NoteIgnored(const Field& policy,
                 std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (policy[key].present()) {
      policy[key].Note("is not honoured: of a DestinationRule only tls counts");
    }
  }
}

Mode ReadMode(const Field& tls) {
  const Field mode = tls["mode"];
  const std::string text = mode.Text("DISABLE");
  for (const Mode known :
       {Mode::kDisable, Mode::kSimple, Mode::kMutual, Mode::kIstioMutual}) {
    if (text == model::ClientTlsModeText(known)) return known;
  }
  mode.Flaw("must be DISABLE, SIMPLE, MUTUAL or ISTIO_MUTUAL");
  return Mode::kDisable;
}

std::vector<std::string> ReadTexts(const Field& list) {
  std::vector<std::string> texts;
  for (const Field& item : list.Items()) {
    texts.push_back(item.Text());
    if (item.is_text() && texts.back().empty()) item.Flaw("must not be empty");
  }
  return texts;
}

// As Istio's validateTLS.
void CheckTls(const Field& field, const ClientTls& tls) {
  const bool skips = tls.insecure_skip_verify;
  if (skips && tls.mode == Mode::kSimple &&
      (!tls.ca_certificates.empty() || !tls.credential_name.empty() ||
       !tls.subject_alt_names.empty())) {
    field["insecureSkipVerify"].Flaw(
        "cannot specify caCertificates, credentialName or subjectAltNames with "
        "it");
  }
  if (skips && tls.mode == Mode::kMutual &&
      (!tls.ca_certificates.empty() || !tls.subject_alt_names.empty())) {
    field["insecureSkipVerify"].Flaw(
        "cannot specify caCertificates or subjectAltNames with it");
  }
  if (!tls.originates()) return;
  if (!tls.credential_name.empty()) {
    if (!tls.client_certificate.empty() || !tls.private_key.empty() ||
        !tls.ca_certificates.empty() || !tls.ca_crl.empty()) {
      field["credentialName"].Flaw(
          "cannot specify certificate, key, CA or CRL files with it");
    }
    return;
  }
  if (tls.mode != Mode::kMutual) return;
  if (tls.client_certificate.empty()) {
    field["clientCertificate"].Flaw("client certificate required for MUTUAL");
  }
  if (tls.private_key.empty()) {
    field["privateKey"].Flaw("private key required for MUTUAL");
  }
}

void NoteUnused(const Field& field, const ClientTls& tls) {
  if (tls.mode == Mode::kIstioMutual || tls.mode == Mode::kDisable) {
    for (const char* key :
         {"clientCertificate", "privateKey", "caCertificates", "caCrl",
          "credentialName", "insecureSkipVerify", "sni", "subjectAltNames"}) {
      if (field[key].present()) {
        field[key].Note(base::StrCat("has no effect with mode ",
                                     model::ClientTlsModeText(tls.mode)));
      }
    }
  } else if (tls.mode == Mode::kSimple) {
    for (const char* key : {"clientCertificate", "privateKey"}) {
      if (field[key].present()) field[key].Note("has no effect with SIMPLE");
    }
  }
}

ClientTls ReadTls(const Field& field) {
  RefuseUnknown(field, {"mode", "clientCertificate", "privateKey",
                        "caCertificates", "credentialName", "subjectAltNames",
                        "sni", "insecureSkipVerify", "caCrl"});
  ClientTls tls;
  tls.mode = ReadMode(field);
  tls.client_certificate = field["clientCertificate"].Text();
  tls.private_key = field["privateKey"].Text();
  tls.ca_certificates = field["caCertificates"].Text();
  tls.ca_crl = field["caCrl"].Text();
  tls.credential_name = field["credentialName"].Text();
  tls.sni = field["sni"].Text();
  tls.subject_alt_names = ReadTexts(field["subjectAltNames"]);
  tls.insecure_skip_verify = field["insecureSkipVerify"].Flag();
  CheckTls(field, tls);
  NoteUnused(field, tls);
  return tls;
}

std::optional<ClientTls> ReadOptionalTls(const Field& policy) {
  const Field tls = policy["tls"];
  if (!tls.present()) return std::nullopt;
  return ReadTls(tls);
}

void ReadPortSettings(const Field& list, DestinationRule* rule) {
  for (const Field& item : list.Items()) {
    RefuseUnknown(item, {"port", "tls", "loadBalancer", "connectionPool",
                         "outlierDetection"});
    NoteIgnored(item, {"loadBalancer", "connectionPool", "outlierDetection"});
    RefuseUnknown(item["port"], {"number"});
    const Field number = item["port"]["number"];
    auto tls = ReadOptionalTls(item);
    if (!number.present()) number.Flaw("is required");
    if (const auto port = number.Port()) {
      rule->port_tls.try_emplace(*port, std::move(tls));
    }
  }
}

void ReadTrafficPolicy(const Field& policy, DestinationRule* rule) {
  RefuseUnknown(policy,
                {"tls", "portLevelSettings", "loadBalancer", "connectionPool",
                 "outlierDetection", "tunnel", "proxyProtocol", "retryBudget"});
  NoteIgnored(policy, {"loadBalancer", "connectionPool", "outlierDetection",
                       "tunnel", "proxyProtocol", "retryBudget"});
  rule->tls = ReadOptionalTls(policy);
  ReadPortSettings(policy["portLevelSettings"], rule);
}

// A short name is of the rule's own namespace; whatever has a dot stands as it
// is, so that httpbin.other names no service.
std::string ReadHost(const Field& field, const std::string& name_space) {
  const std::string host = field.Text();
  if (host.empty()) {
    field.Flaw("is required");
    return "";
  }
  if (host == "*") return host;
  const bool wild = host.starts_with("*.");
  if (!IsDnsName(wild ? std::string_view(host).substr(2) : host)) {
    field.Flaw("must be a DNS name, or one after '*.'");
    return "";
  }
  if (wild || host.find('.') != std::string::npos) return host;
  return base::StrCat(host, ".", name_space, kClusterSuffix);
}

void ReadExportTo(const Field& list, DestinationRule* rule) {
  for (const Field& item : list.Items()) {
    const std::string name = item.Text();
    if (name != "." && name != "*" && name != "~" && !IsDnsName(name)) {
      item.Flaw("must be a namespace, '.' or '*'");
    }
    // "~" is no namespace's name: nobody but its own sees the rule.
    rule->export_to.push_back(name == "." ? rule->name_space : name);
  }
}

}  // namespace

DestinationRule ReadDestinationRule(const Field& root,
                                    const Metadata& metadata) {
  DestinationRule rule;
  rule.name = metadata.name;
  rule.name_space = metadata.name_space;
  rule.created = metadata.created;
  const Field spec = root["spec"];
  RefuseUnknown(root, {"apiVersion", "kind", "metadata", "spec", "status"});
  RefuseUnknown(spec, {"host", "trafficPolicy", "subsets", "exportTo",
                       "workloadSelector"});
  rule.host = ReadHost(spec["host"], metadata.name_space);
  ReadTrafficPolicy(spec["trafficPolicy"], &rule);
  if (spec["subsets"].present()) {
    spec["subsets"].Note(
        "subsets are not honoured: all endpoints get what trafficPolicy says");
  }
  ReadExportTo(spec["exportTo"], &rule);
  rule.selector = ReadSelector(spec["workloadSelector"]);
  return rule;
}

}  // namespace nodeward::discovery
