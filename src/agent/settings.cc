// SPDX-License-Identifier: Apache-2.0
#include "agent/settings.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/text.h"
#include "cni/installer.h"
#include "kube/in_cluster.h"

namespace nodeward::agent {
namespace {

using base::Status;
using base::StrCat;

// --- values ----------------------------------------------------------------

Status Refuse(std::string_view value, std::string_view why) {
  return absl::InvalidArgumentError(StrCat("'", value, "': ", why));
}

Status PutPath(std::string& field, const std::string& value) {
  if (value.empty()) return Refuse(value, "a path is needed");
  std::error_code error;
  auto path = std::filesystem::absolute(value, error);
  if (error) return Refuse(value, "no such path; use an absolute one");
  std::string text = path.lexically_normal().string();
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  field = std::move(text);
  return base::OkStatus();
}

Status PutPathOrAuto(std::string& field, const std::string& value) {
  if (value == "auto") {
    field = value;
    return base::OkStatus();
  }
  if (value.empty() || value.front() != '/') {
    return Refuse(value, "use auto or an absolute path");
  }
  return PutPath(field, value);
}

Status PutNumber(int64_t low, int64_t high, const std::string& value,
                 int64_t* out) {
  const char* const end = value.data() + value.size();
  const auto [rest, error] = std::from_chars(value.data(), end, *out);
  if (error != std::errc() || rest != end || *out < low || *out > high) {
    return Refuse(value, StrCat("use a whole number from ", low, " to ", high));
  }
  return base::OkStatus();
}

Status PutPort(uint16_t& field, int64_t low, const std::string& value) {
  int64_t number = 0;
  NODEWARD_TRY(PutNumber(low, 65535, value, &number));
  field = static_cast<uint16_t>(number);
  return base::OkStatus();
}

Status PutDuration(absl::Duration& field, absl::Duration high,
                   const std::string& value) {
  absl::Duration duration;
  if (!absl::ParseDuration(value, &duration) ||
      duration < absl::ZeroDuration() || duration > high) {
    return Refuse(
        value, StrCat("use a duration from 0s to ", absl::FormatDuration(high),
                      ", such as 50ms, 3s or 1m30s"));
  }
  field = duration;
  return base::OkStatus();
}

bool OnlyOf(std::string_view text, std::string_view punctuation) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           punctuation.find(c) != std::string_view::npos;
  });
}

// SPIFFE-ID section 2.1.
Status CheckTrustDomain(const std::string& value) {
  if (value.empty() || value.size() > 255 || !OnlyOf(value, ".-_")) {
    return Refuse(value,
                  "a trust domain has 1 to 255 characters of a-z, 0-9, '.', "
                  "'-' and '_', such as cluster.local");
  }
  return base::OkStatus();
}

// "other.example=/etc/nodeward/other.pem".
Status PutFederation(std::map<std::string, std::string>& field,
                     const std::string& value) {
  const size_t equals = value.find('=');
  if (equals == std::string::npos) {
    return Refuse(value, "use TRUST-DOMAIN=PATH");
  }
  const std::string domain = value.substr(0, equals);
  NODEWARD_TRY(CheckTrustDomain(domain));
  return PutPath(field[domain], value.substr(equals + 1));
}

// "ca.example:15012", "[fd00::1]:15012".
Status PutHostPort(std::string& field, const std::string& value) {
  const size_t colon = value.rfind(':');
  int64_t port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !PutNumber(1, 65535, value.substr(colon + 1), &port).ok()) {
    return Refuse(value, "use HOST:PORT, an IPv6 address in brackets");
  }
  field = value;
  return base::OkStatus();
}

// Kubernetes names: RFC 1123.
Status PutName(std::string& field, size_t longest, std::string_view punctuation,
               const std::string& value) {
  const auto is_end = [](char c) { return c != '-' && c != '.'; };
  if (value.empty() || value.size() > longest || !OnlyOf(value, punctuation) ||
      !is_end(value.front()) || !is_end(value.back())) {
    return Refuse(value, StrCat("a Kubernetes name is needed: up to ", longest,
                                " characters of a-z, 0-9 and '-', such as "
                                "node-a"));
  }
  field = value;
  return base::OkStatus();
}

// "nodeward-system/nodeward-agent".
Status PutObject(std::string& field, const std::string& value) {
  const size_t slash = value.find('/');
  std::string ignored;
  if (slash == std::string::npos ||
      !PutName(ignored, 63, "-", value.substr(0, slash)).ok() ||
      !PutName(ignored, 253, "-.", value.substr(slash + 1)).ok()) {
    return Refuse(value, "use NAMESPACE/NAME");
  }
  field = value;
  return base::OkStatus();
}

// --- the table -------------------------------------------------------------

constexpr Setting kSettings[] = {
    {"node", SettingType::kText, "",
     "Which Pods (spec.nodeName) are ours. Default: this host's name.",
     [](Config& c, const std::string& v) {
       return PutName(c.node, 253, "-.", v);
     }},
    {"trustDomain", SettingType::kText, "cluster.local",
     "The trust domain of every identity here: spiffe://<it>/ns/…/sa/….",
     [](Config& c, const std::string& v) {
       NODEWARD_TRY(CheckTrustDomain(v));
       c.trust_domain = v;
       return base::OkStatus();
     }},
    {"trustDomainAliases", SettingType::kTextList, "",
     "Further trust domains whose peers are accepted as our own.",
     [](Config& c, const std::string& v) {
       NODEWARD_TRY(CheckTrustDomain(v));
       c.trust_domain_aliases.push_back(v);
       return base::OkStatus();
     }},
    {"rootNamespace", SettingType::kText, "istio-system",
     "The namespace whose policies without a selector are mesh-wide.",
     [](Config& c, const std::string& v) {
       return PutName(c.root_namespace, 63, "-", v);
     }},
    {"pathNormalization", SettingType::kText, "BASE",
     "How request paths are made comparable for policies: NONE, BASE,\n"
     "MERGE_SLASHES or DECODE_AND_MERGE_SLASHES.",
     [](Config& c, const std::string& v) {
       return model::ParsePathNormalization(v, &c.path_normalization)
                  ? base::OkStatus()
                  : Refuse(v,
                           "use NONE, BASE, MERGE_SLASHES or "
                           "DECODE_AND_MERGE_SLASHES");
     }},
    {"source.kind", SettingType::kText, "manifests",
     "Where pods, services and policies come from: manifests (a folder) or\n"
     "kubernetes (its API, with the pods' namespaces from source.cri).",
     [](Config& c, const std::string& v) {
       if (v != "manifests" && v != "kubernetes") {
         return Refuse(v, "use manifests or kubernetes");
       }
       c.kubernetes = v == "kubernetes";
       return base::OkStatus();
     }},
    {"source.kubernetes.api", SettingType::kText, "",
     "The API server, such as https://10.96.0.1:443; without it, what the\n"
     "environment of a pod says.",
     [](Config& c, const std::string& v) {
       if (v.empty()) return base::OkStatus();
       if (!v.starts_with("https://") || v.size() == strlen("https://")) {
         return Refuse(v, "use https://HOST:PORT");
       }
       c.kubernetes_api = v.ends_with('/') ? v.substr(0, v.size() - 1) : v;
       return base::OkStatus();
     }},
    {"source.kubernetes.ca", SettingType::kText, kube::kPodCa,
     "PEM file: what the API server's certificate leads to.",
     [](Config& c, const std::string& v) {
       return PutPath(c.kubernetes_ca, v);
     }},
    {"source.kubernetes.token", SettingType::kText, kube::kPodToken,
     "File with the token that is shown to the API server; read again for\n"
     "each request.",
     [](Config& c, const std::string& v) {
       return PutPath(c.kubernetes_token, v);
     }},
    {"source.kubernetes.daemonset", SettingType::kText, "",
     "NAMESPACE/NAME of the agent's own DaemonSet. When it has been deleted,\n"
     "an agent that is stopped takes everything off its node; without it,\n"
     "pods stay closed.",
     [](Config& c, const std::string& v) {
       return v.empty() ? base::OkStatus()
                        : PutObject(c.kubernetes_daemonset, v);
     }},
    {"source.kubernetes.taint", SettingType::kText, "",
     "Key of a taint that the agent takes off its own node once it can take\n"
     "traffic: with nodes that join with it, no pod is there before an agent.",
     [](Config& c, const std::string& v) {
       c.kubernetes_taint = v;
       return base::OkStatus();
     }},
    {"source.cri", SettingType::kText, "unix:///run/containerd/containerd.sock",
     "The container runtime's socket, which tells the pods' network\n"
     "namespaces to the kubernetes source.",
     [](Config& c, const std::string& v) {
       if (!v.starts_with("unix:///")) {
         return Refuse(v, "use unix:///PATH");
       }
       c.cri = v;
       return base::OkStatus();
     }},
    {"cni.confDir", SettingType::kText, "",
     "The node's folder of network configurations, usually /etc/cni/net.d. "
     "The\n"
     "agent keeps its CNI plugin in the first one, so that no pod of the mesh\n"
     "starts before it is captured. Empty: no plugin.",
     [](Config& c, const std::string& v) {
       return v.empty() ? base::OkStatus() : PutPath(c.cni_conf_dir, v);
     }},
    {"cni.plugin", SettingType::kText, "install",
     "install, or remove: what a former agent has installed in cni.confDir is\n"
     "taken away, so that pods do not wait for it.",
     [](Config& c, const std::string& v) {
       if (v != "install" && v != "remove") {
         return Refuse(v, "use install or remove");
       }
       c.cni_install = v == "install";
       return base::OkStatus();
     }},
    {"cni.binDir", SettingType::kText, cni::kDefaultProgramDir,
     "The node's folder of CNI plugins, where ours is copied to.",
     [](Config& c, const std::string& v) { return PutPath(c.cni_bin_dir, v); }},
    {"cni.serviceAccount", SettingType::kText, "",
     "NAMESPACE/NAME of the ServiceAccount that the plugin is when it asks "
     "the\n"
     "API server, where no agent answers. Empty: it does not.",
     [](Config& c, const std::string& v) {
       return v.empty() ? base::OkStatus() : PutObject(c.cni_account, v);
     }},
    {"source.manifests", SettingType::kText, "/etc/nodeward/manifests",
     "Directory of Kubernetes YAML and JSON, read recursively and watched. It\n"
     "must belong to root and not be writable by others.",
     [](Config& c, const std::string& v) { return PutPath(c.manifests, v); }},
    {"ca.embedded", SettingType::kText, "/var/lib/nodeward/ca",
     "Folder of the built-in CA's ca.crt and ca.key (0600), made if absent.",
     [](Config& c, const std::string& v) { return PutPath(c.embedded_ca, v); }},
    {"ca.address", SettingType::kText, "",
     "HOST:PORT of a CA that speaks istio.v1.auth.IstioCertificateService\n"
     "(nodeward ca, istiod). Empty: the built-in one.",
     [](Config& c, const std::string& v) {
       return v.empty() ? base::OkStatus() : PutHostPort(c.ca_address, v);
     }},
    {"ca.roots", SettingType::kText, "",
     "PEM file that the certificate of ca.address must lead to; watched.",
     [](Config& c, const std::string& v) {
       return v.empty() ? base::OkStatus() : PutPath(c.ca_roots, v);
     }},
    {"ca.token", SettingType::kText, "",
     "File of the token shown to ca.address, read anew for every request (a\n"
     "projected ServiceAccount token).",
     [](Config& c, const std::string& v) {
       return v.empty() ? base::OkStatus() : PutPath(c.ca_token, v);
     }},
    {"ca.serverName", SettingType::kText, "",
     "The name in the certificate of ca.address. Default: its host.",
     [](Config& c, const std::string& v) {
       c.ca_server_name = v;
       return base::OkStatus();
     }},
    {"ca.clusterId", SettingType::kText, "Kubernetes",
     "What istiod at ca.address calls this cluster (its CLUSTER_ID; without "
     "it,\n"
     "or with another, it refuses). Other CAs do not look at it. Empty: "
     "unsaid.",
     [](Config& c, const std::string& v) {
       // It goes into a header.
       const bool fits = std::all_of(v.begin(), v.end(), [](char one) {
         return one > 0x20 && one < 0x7f;
       });
       if (!fits) return Refuse(v, "use visible ASCII without blanks");
       c.ca_cluster = v;
       return base::OkStatus();
     }},
    {"ca.lifetime", SettingType::kDuration, "24h",
     "How long certificates are to be good for; a CA may give less.",
     [](Config& c, const std::string& v) {
       NODEWARD_TRY(PutDuration(c.ca_lifetime, absl::Hours(24 * 365), v));
       return c.ca_lifetime < absl::Seconds(10) ? Refuse(v, "use 10s or more")
                                                : base::OkStatus();
     }},
    {"trust.bundle", SettingType::kText, "",
     "PEM file, or folder of *.crt and *.pem, of the roots that peers are\n"
     "verified against; watched. Empty: the roots that the CA sends.",
     [](Config& c, const std::string& v) {
       return v.empty() ? base::OkStatus() : PutPath(c.trust_bundle, v);
     }},
    {"trust.crl", SettingType::kText, "",
     "PEM file, or folder of *.crl, of revocation lists; watched.",
     [](Config& c, const std::string& v) {
       return v.empty() ? base::OkStatus() : PutPath(c.trust_crl, v);
     }},
    {"trust.revocation", SettingType::kText, "lenient",
     "lenient: where there is no list of a CA in date, its certificates pass;\n"
     "required: they are refused.",
     [](Config& c, const std::string& v) {
       if (v != "lenient" && v != "required") {
         return Refuse(v, "use lenient or required");
       }
       c.crl_required = v == "required";
       return base::OkStatus();
     }},
    {"trust.federation", SettingType::kTextList, "",
     "Other trust domains whose peers are accepted, each TRUST-DOMAIN=PATH of\n"
     "its own roots; watched. An empty file ends the trust.",
     [](Config& c, const std::string& v) {
       return PutFederation(c.federation, v);
     }},
    {"trust.grace", SettingType::kText, "lifetime",
     "How long a connection may outlive the certificate of either end: a\n"
     "duration, or lifetime (as long as that certificate was good for).",
     [](Config& c, const std::string& v) {
       if (v == "lifetime") return base::OkStatus();
       absl::Duration grace;
       NODEWARD_TRY(PutDuration(grace, absl::Hours(24 * 365), v));
       c.certificate_grace = grace;
       return base::OkStatus();
     }},
    {"takeover", SettingType::kSwitch, "false",
     "When an agent serves this node already: get ready beside it, then take\n"
     "over its listening sockets, so that no connection is refused; it drains\n"
     "and ends. Else such an agent is an error.",
     [](Config& c, const std::string& v) {
       if (v != "true" && v != "false") return Refuse(v, "use true or false");
       c.takeover = v == "true";
       return base::OkStatus();
     }},
    {"runDir", SettingType::kText, "/run/nodeward",
     "Where control.sock and the lock lie; mode 0700. NODEWARD_RUN_DIR in the\n"
     "environment changes the default.",
     [](Config& c, const std::string& v) { return PutPath(c.run_dir, v); }},
    {"bpfDir", SettingType::kText, "/sys/fs/bpf/nodeward",
     "Where the BPF programs are pinned, in a BPF file system.",
     [](Config& c, const std::string& v) { return PutPath(c.bpf_dir, v); }},
    {"cgroup", SettingType::kText, "auto",
     "Where the connect hooks attach: auto (the cgroup2 mount) or a path.",
     [](Config& c, const std::string& v) {
       return PutPathOrAuto(c.cgroup, v);
     }},
    {"kubelet.cgroup", SettingType::kText, "auto",
     "The kubelet's cgroup, whose probes pass: a path, or auto (the cgroup of\n"
     "the socket that listens on kubelet.port).",
     [](Config& c, const std::string& v) {
       return PutPathOrAuto(c.kubelet_cgroup, v);
     }},
    {"kubelet.port", SettingType::kInteger, "10250",
     "The port the kubelet listens on, by which auto finds it.",
     [](Config& c, const std::string& v) {
       return PutPort(c.kubelet_port, 1, v);
     }},
    {"meshCIDRs", SettingType::kTextList, "",
     "Inside these, a destination not known yet is held, never sent in\n"
     "plaintext: the Nodes' pod CIDRs and the Service range.",
     [](Config& c, const std::string& v) {
       auto cidr = base::Cidr::Parse(v);
       if (!cidr.ok()) {
         return Refuse(v, "use an address block such as 10.244.0.0/16");
       }
       c.mesh_cidrs.push_back(*cidr);
       return base::OkStatus();
     }},
    {"workers", SettingType::kInteger, "0",
     "Threads that carry connections; 0: one for each CPU.",
     [](Config& c, const std::string& v) {
       int64_t number = 0;
       NODEWARD_TRY(PutNumber(0, 1024, v, &number));
       c.workers = static_cast<int>(number);
       return base::OkStatus();
     }},
    {"metricsAddress", SettingType::kText, "::",
     "Address of the metrics and readiness ports; :: is every address of\n"
     "either family.",
     [](Config& c, const std::string& v) {
       auto address = base::IpAddress::Parse(v);
       if (!address.ok()) {
         return Refuse(v, "use an IP address such as 0.0.0.0 or ::");
       }
       c.metrics_address = *address;
       return base::OkStatus();
     }},
    {"metricsPort", SettingType::kInteger, "15020",
     "Serves Prometheus metrics at /metrics and /stats/prometheus; 0: off.",
     [](Config& c, const std::string& v) {
       return PutPort(c.metrics_port, 0, v);
     }},
    {"readinessPort", SettingType::kInteger, "15021",
     "Serves readiness at /healthz/ready; 0: off.",
     [](Config& c, const std::string& v) {
       return PutPort(c.readiness_port, 0, v);
     }},
    {"hold", SettingType::kDuration, "5s",
     "How long a connection to an unknown destination in meshCIDRs is held\n"
     "before it is refused.",
     [](Config& c, const std::string& v) {
       return PutDuration(c.hold, absl::Minutes(1), v);
     }},
    {"sniffWait", SettingType::kDuration, "50ms",
     "Under PERMISSIVE: how long a ClientHello may still win when the\n"
     "application speaks first.",
     [](Config& c, const std::string& v) {
       return PutDuration(c.sniff_wait, absl::Seconds(10), v);
     }},
    {"silentDeadline", SettingType::kDuration, "3s",
     "Under STRICT: how long a client may be silent before it is reset.",
     [](Config& c, const std::string& v) {
       return PutDuration(c.silent_deadline, absl::Minutes(1), v);
     }},
    {"drain", SettingType::kDuration, "5s",
     "How long open connections may go on after SIGTERM.",
     [](Config& c, const std::string& v) {
       return PutDuration(c.drain, absl::Hours(24), v);
     }},
    {"log.level", SettingType::kText, "info",
     "debug, info, warn or error. Access-log lines are of level info.",
     [](Config& c, const std::string& v) {
       NODEWARD_ASSIGN(c.log_level, base::ParseLogLevel(v));
       return base::OkStatus();
     }},
    {"log.format", SettingType::kText, "text", "text or json.",
     [](Config& c, const std::string& v) {
       NODEWARD_ASSIGN(c.log_format, base::ParseLogFormat(v));
       return base::OkStatus();
     }},
};

}  // namespace

std::span<const Setting> Settings() { return kSettings; }

const Setting* FindSetting(std::string_view key) {
  for (const Setting& setting : kSettings) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

std::string_view SettingTypeText(SettingType type) {
  switch (type) {
    case SettingType::kText:
      return "text";
    case SettingType::kTextList:
      return "list of text";
    case SettingType::kInteger:
      return "whole number";
    case SettingType::kDuration:
      return "duration";
    case SettingType::kSwitch:
      return "true or false";
  }
  return "text";
}

std::string FlagOf(std::string_view key) {
  std::string flag = "--";
  char last = '\0';
  for (const char c : key) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (c == '.') {
      flag += '-';
    } else if (upper) {
      if (last >= 'a' && last <= 'z') flag += '-';
      flag += static_cast<char>(c - 'A' + 'a');
    } else {
      flag += c;
    }
    last = c;
  }
  return flag;
}

std::string SettingsHelp() {
  std::string text;
  for (const Setting& setting : kSettings) {
    base::StrAppend(&text, "  ", FlagOf(setting.key), "   key ", setting.key,
                    ", ", SettingTypeText(setting.type));
    if (setting.type == SettingType::kTextList) {
      base::StrAppend(&text, " (as a flag: comma-separated)");
    }
    if (setting.type == SettingType::kSwitch) {
      base::StrAppend(&text, " (as a flag: true without a value)");
    }
    if (!setting.fallback.empty()) {
      base::StrAppend(&text, ", default ", setting.fallback);
    }
    base::StrAppend(&text, "\n      ");
    for (const char c : setting.help) {
      text += c;
      if (c == '\n') text += "      ";
    }
    text += "\n";
  }
  return text;
}

}  // namespace nodeward::agent
