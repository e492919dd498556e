// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "agent/settings.h"
#include "base/text.h"

namespace nodeward::agent {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::string folder = ::testing::TempDir() + "nodeward-config-XXXXXX";
    folder_ = mkdtemp(folder.data());
    unsetenv("NODEWARD_RUN_DIR");
  }
  ~ConfigTest() override {
    unlink(file().c_str());
    rmdir(folder_.c_str());
    unsetenv("NODEWARD_RUN_DIR");
  }

  std::string file() const { return folder_ + "/config.yaml"; }

  base::StatusOr<Config> Load(const std::string& yaml,
                              const FlagValues& flags = {}) {
    std::ofstream(file()) << yaml;
    return LoadConfig(file(), flags);
  }

  // What LoadConfig says of `yaml`, without the folder.
  std::string Mistakes(const std::string& yaml, const FlagValues& flags = {}) {
    const auto config = Load(yaml, flags);
    if (config.ok()) return "(accepted)";
    std::string text(config.status().message());
    for (size_t at; (at = text.find(folder_ + "/")) != std::string::npos;) {
      text.erase(at, folder_.size() + 1);
    }
    return text;
  }

  std::string folder_;
};

TEST_F(ConfigTest, DefaultsStandWithoutAFile) {
  const auto config = LoadConfig("", {{"node", "node-a"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->node, "node-a");
  EXPECT_EQ(config->trust_domain, "cluster.local");
  EXPECT_EQ(config->manifests, "/etc/nodeward/manifests");
  EXPECT_EQ(config->embedded_ca, "/var/lib/nodeward/ca");
  EXPECT_EQ(config->run_dir, "/run/nodeward");
  EXPECT_EQ(config->bpf_dir, "/sys/fs/bpf/nodeward");
  EXPECT_EQ(config->cgroup, "auto");
  EXPECT_EQ(config->kubelet_cgroup, "auto");
  EXPECT_EQ(config->kubelet_port, 10250);
  EXPECT_TRUE(config->mesh_cidrs.empty());
  EXPECT_EQ(config->workers, 0);
  EXPECT_EQ(config->metrics_port, 15020);
  EXPECT_EQ(config->readiness_port, 15021);
  EXPECT_EQ(config->silent_deadline, absl::Seconds(3));
  EXPECT_EQ(config->sniff_wait, absl::Milliseconds(50));
  EXPECT_EQ(config->log_level, base::LogLevel::kInfo);
  EXPECT_EQ(config->log_format, base::LogFormat::kText);
}

TEST_F(ConfigTest, TrustAndCa) {
  const auto plain = Load("node: node-a\n");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->trust_bundle, "");
  EXPECT_EQ(plain->ca_lifetime, absl::Hours(24));
  EXPECT_EQ(plain->ca_cluster, "Kubernetes");
  EXPECT_FALSE(plain->certificate_grace.has_value());
  EXPECT_FALSE(plain->crl_required);
  const auto config = Load(
      "node: node-a\n"
      "ca: {address: '[fd00::1]:15012', roots: /r.pem, token: /t,\n"
      "     lifetime: 1h, clusterId: east-1}\n"
      "trust:\n"
      "  bundle: /roots\n"
      "  crl: /crl.pem\n"
      "  revocation: required\n"
      "  federation: [other.example=/other.pem]\n"
      "  grace: 10m\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->ca_address, "[fd00::1]:15012");
  EXPECT_EQ(config->ca_lifetime, absl::Hours(1));
  EXPECT_EQ(config->ca_cluster, "east-1");
  EXPECT_EQ(config->trust_bundle, "/roots");
  EXPECT_TRUE(config->crl_required);
  EXPECT_EQ(config->federation.at("other.example"), "/other.pem");
  EXPECT_EQ(config->certificate_grace, absl::Minutes(10));
}

TEST_F(ConfigTest, MistakesInTrustAndCa) {
  EXPECT_THAT(Mistakes("ca: {address: ca.example}\n"), HasSubstr("HOST:PORT"));
  EXPECT_THAT(Mistakes("ca: {address: 'ca.example:15012'}\n"),
              HasSubstr("needs ca.roots"));
  EXPECT_THAT(Mistakes("ca: {lifetime: 1s}\n"), HasSubstr("10s or more"));
  EXPECT_THAT(Mistakes("ca: {clusterId: 'two words'}\n"),
              HasSubstr("without blanks"));
  EXPECT_THAT(Mistakes("trust: {revocation: maybe}\n"),
              HasSubstr("lenient or required"));
  EXPECT_THAT(Mistakes("trust: {federation: [other.example]}\n"),
              HasSubstr("TRUST-DOMAIN=PATH"));
  EXPECT_THAT(Mistakes("trust: {federation: [cluster.local=/x]}\n"),
              HasSubstr("our own trust domain"));
}

TEST_F(ConfigTest, KubernetesAsSource) {
  const auto plain = Load("node: node-a\n");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_FALSE(plain->kubernetes);
  const auto config = Load(
      "node: node-a\n"
      "source:\n"
      "  kind: kubernetes\n"
      "  kubernetes: {api: 'https://10.89.0.1:6443/', ca: /ca, token: /t,\n"
      "               daemonset: sys/agent, taint: a.b/c}\n"
      "  cri: unix:///run/crio/crio.sock\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->kubernetes);
  EXPECT_EQ(config->kubernetes_api, "https://10.89.0.1:6443");
  EXPECT_EQ(config->kubernetes_ca, "/ca");
  EXPECT_EQ(config->kubernetes_token, "/t");
  EXPECT_EQ(config->kubernetes_daemonset, "sys/agent");
  EXPECT_EQ(config->kubernetes_taint, "a.b/c");
  EXPECT_EQ(config->cri, "unix:///run/crio/crio.sock");
}

TEST_F(ConfigTest, CniPlugin) {
  const auto plain = Load("node: node-a\n");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->cni_conf_dir, "");
  const auto config = Load(
      "node: node-a\n"
      "source: {kind: kubernetes, kubernetes: {api: "
      "'https://10.89.0.1:6443'}}\n"
      "cni: {confDir: /etc/cni/net.d, serviceAccount: sys/cni}\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->cni_conf_dir, "/etc/cni/net.d");
  EXPECT_EQ(config->cni_bin_dir, "/opt/cni/bin");
  EXPECT_EQ(config->cni_account, "sys/cni");
  EXPECT_TRUE(config->cni_install);
  EXPECT_THAT(Mistakes("cni: {plugin: maybe}\n"),
              HasSubstr("install or remove"));
  EXPECT_THAT(Mistakes("cni: {confDir: /etc/cni/net.d}\n"),
              HasSubstr("use source.kind kubernetes"));
  EXPECT_THAT(Mistakes("cni: {serviceAccount: cni}\n"),
              HasSubstr("NAMESPACE/NAME"));
}

TEST_F(ConfigTest, KubernetesAsAPodFindsIt) {
  setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  const auto config = Load("source: {kind: kubernetes}\n");
  unsetenv("KUBERNETES_SERVICE_HOST");
  unsetenv("KUBERNETES_SERVICE_PORT");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->kubernetes_api, "https://10.96.0.1:443");
  EXPECT_EQ(config->kubernetes_token,
            "/var/run/secrets/kubernetes.io/serviceaccount/token");
  EXPECT_EQ(config->kubernetes_ca,
            "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
  EXPECT_EQ(config->cri, "unix:///run/containerd/containerd.sock");
  EXPECT_EQ(config->kubernetes_daemonset, "");
}

TEST_F(ConfigTest, MistakesInKubernetes) {
  EXPECT_THAT(Mistakes("source: {kind: etcd}\n"),
              HasSubstr("manifests or kubernetes"));
  EXPECT_THAT(Mistakes("source: {kind: kubernetes}\n"),
              HasSubstr("needed outside of a pod"));
  EXPECT_THAT(Mistakes("source: {kubernetes: {api: 'http://x'}}\n"),
              HasSubstr("https://HOST:PORT"));
  EXPECT_THAT(Mistakes("source: {kubernetes: {daemonset: agent}}\n"),
              HasSubstr("NAMESPACE/NAME"));
  EXPECT_THAT(Mistakes("source: {cri: /run/x.sock}\n"),
              HasSubstr("unix:///PATH"));
}

TEST_F(ConfigTest, NodeDefaultsToTheHostName) {
  char host[256] = {};
  ASSERT_EQ(gethostname(host, sizeof(host) - 1), 0);
  const auto config = LoadConfig("", {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(strcasecmp(config->node.c_str(), host), 0) << config->node;
}

TEST_F(ConfigTest, ReadsEveryDocumentedKey) {
  const auto config = Load(R"(node: node-a                       # ours
trustDomain: example.org
trustDomainAliases: [old.example.org]
pathNormalization: MERGE_SLASHES
source: {manifests: /tmp/m}
ca: {embedded: /tmp/ca}
runDir: /tmp/run
bpfDir: /sys/fs/bpf/other
cgroup: /sys/fs/cgroup/unified
kubelet: {cgroup: /kubelet.slice, port: 10251}
meshCIDRs: [10.244.0.0/16, "fd00::/8"]
workers: 3
metricsAddress: 127.0.0.1
metricsPort: 16020
readinessPort: 0
hold: 1s
sniffWait: 0s
silentDeadline: 2500ms
drain: 1m30s
log: {level: debug, format: json}
)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->node, "node-a");
  EXPECT_EQ(config->trust_domain, "example.org");
  EXPECT_THAT(config->trust_domain_aliases,
              ::testing::ElementsAre("old.example.org"));
  EXPECT_EQ(config->path_normalization,
            model::PathNormalization::kMergeSlashes);
  EXPECT_EQ(config->manifests, "/tmp/m");
  EXPECT_EQ(config->embedded_ca, "/tmp/ca");
  EXPECT_EQ(config->run_dir, "/tmp/run");
  EXPECT_EQ(config->bpf_dir, "/sys/fs/bpf/other");
  EXPECT_EQ(config->cgroup, "/sys/fs/cgroup/unified");
  EXPECT_EQ(config->kubelet_cgroup, "/kubelet.slice");
  EXPECT_EQ(config->kubelet_port, 10251);
  ASSERT_EQ(config->mesh_cidrs.size(), 2u);
  EXPECT_EQ(config->mesh_cidrs[1].ToString(), "fd00::/8");
  EXPECT_EQ(config->workers, 3);
  EXPECT_EQ(config->metrics_address.ToString(), "127.0.0.1");
  EXPECT_EQ(config->metrics_port, 16020);
  EXPECT_EQ(config->readiness_port, 0);
  EXPECT_EQ(config->hold, absl::Seconds(1));
  EXPECT_EQ(config->sniff_wait, absl::ZeroDuration());
  EXPECT_EQ(config->silent_deadline, absl::Milliseconds(2500));
  EXPECT_EQ(config->drain, absl::Seconds(90));
  EXPECT_EQ(config->log_level, base::LogLevel::kDebug);
  EXPECT_EQ(config->log_format, base::LogFormat::kJson);
}

TEST_F(ConfigTest, AnEmptyFileIsAllDefaults) {
  EXPECT_TRUE(Load("").ok());
  EXPECT_TRUE(Load("# nothing yet\n").ok());
}

TEST_F(ConfigTest, FlagsBeatTheFile) {
  const auto config =
      Load("node: from-file\nmeshCIDRs: [10.0.0.0/8]\nworkers: 1\n",
           {{"node", "from-flag"},
            {"meshCIDRs", "10.1.0.0/16, fd00::/8"},
            {"ca.embedded", "/tmp/x"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->node, "from-flag");
  EXPECT_EQ(config->embedded_ca, "/tmp/x");
  EXPECT_EQ(config->workers, 1);
  ASSERT_EQ(config->mesh_cidrs.size(), 2u);
  EXPECT_EQ(config->mesh_cidrs[0].ToString(), "10.1.0.0/16");
}

TEST_F(ConfigTest, AnEmptyListFlagClearsTheFilesList) {
  const auto config = Load("meshCIDRs: [10.0.0.0/8]\n", {{"meshCIDRs", ""}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->mesh_cidrs.empty());
}

TEST_F(ConfigTest, TheEnvironmentIsOnlyTheRunDirsDefault) {
  setenv("NODEWARD_RUN_DIR", "/tmp/env-run", 1);
  EXPECT_EQ(LoadConfig("", {})->run_dir, "/tmp/env-run");
  EXPECT_EQ(Load("runDir: /tmp/file-run\n")->run_dir, "/tmp/file-run");
  EXPECT_EQ(Load("runDir: /tmp/a\n", {{"runDir", "/tmp/flag"}})->run_dir,
            "/tmp/flag");
}

TEST_F(ConfigTest, RelativePathsCountFromTheWorkingDirectory) {
  const auto config = LoadConfig("", {{"ca.embedded", "ca/../pki/"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->embedded_ca,
              AllOf(::testing::StartsWith("/"), EndsWith("/pki")));
}

TEST_F(ConfigTest, AnUnknownKeyNamesTheNearestOne) {
  EXPECT_EQ(Mistakes("node: a\ntrustdomain: x\n"),
            "config.yaml:2: unknown key 'trustdomain': did you mean "
            "'trustDomain'?");
  EXPECT_EQ(Mistakes("ca:\n  embeded: /x\n"),
            "config.yaml:2: unknown key 'ca.embeded': did you mean "
            "'ca.embedded'?");
  EXPECT_EQ(Mistakes("embedded: /x\n"),
            "config.yaml:1: unknown key 'embedded': did you mean "
            "'ca.embedded'?");
  EXPECT_EQ(Mistakes("logs: {level: info}\n"),
            "config.yaml:1: unknown key 'logs': did you mean 'log'?");
  EXPECT_EQ(Mistakes("xyzzy: 1\n"),
            "config.yaml:1: unknown key 'xyzzy': see nodeward agent --help "
            "for all keys");
}

TEST_F(ConfigTest, AWrongTypeSaysWhatWasExpected) {
  EXPECT_EQ(Mistakes("node: a\n\nworkers: two\n"),
            "config.yaml:3: workers: expected a whole number, found text");
  EXPECT_EQ(Mistakes("node: [a]\n"),
            "config.yaml:1: node: expected text, found a list");
  EXPECT_EQ(Mistakes("node: 5\n"),
            "config.yaml:1: node: expected text, found a whole number; put it "
            "in quotes if it is meant so");
  EXPECT_EQ(Mistakes("node:\n"),
            "config.yaml:1: node: expected text, found nothing");
  EXPECT_EQ(Mistakes("ca: /var/lib/ca\n"),
            "config.yaml:1: ca: expected a mapping, found text");
  EXPECT_EQ(Mistakes("meshCIDRs: 10.0.0.0/8\n"),
            "config.yaml:1: meshCIDRs: expected a list, found text");
  EXPECT_EQ(Mistakes("meshCIDRs:\n- 10.0.0.0/8\n- {a: b}\n"),
            "config.yaml:3: meshCIDRs[1]: expected text, found a mapping");
  EXPECT_THAT(Mistakes("drain: 3\n"),
              HasSubstr("drain: expected a duration such as 3s, found a whole "
                        "number"));
  EXPECT_THAT(Mistakes("[a, b]\n"), HasSubstr("expected a mapping of keys"));
}

TEST_F(ConfigTest, AWrongValueSaysWhatToWrite) {
  EXPECT_EQ(Mistakes("meshCIDRs:\n- 10.0.0.0/8\n- 10.0.0.0/99\n"),
            "config.yaml:3: meshCIDRs[1]: '10.0.0.0/99': use an address block "
            "such as 10.244.0.0/16");
  EXPECT_THAT(Mistakes("log:\n  format: text\n  level: loud\n"),
              AllOf(HasSubstr("config.yaml:3: log.level: "),
                    HasSubstr("use debug, info, warn or error")));
  EXPECT_THAT(Mistakes("log: {format: xml}\n"), HasSubstr("use text or json"));
  EXPECT_THAT(Mistakes("workers: -1\n"), HasSubstr("from 0 to 1024"));
  EXPECT_THAT(Mistakes("metricsPort: 65536\n"), HasSubstr("from 0 to 65535"));
  EXPECT_THAT(Mistakes("kubelet: {port: 0}\n"), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(Mistakes("sniffWait: fast\n"), HasSubstr("such as 50ms"));
  EXPECT_THAT(Mistakes("sniffWait: -1s\n"), HasSubstr("from 0s to 10s"));
  EXPECT_THAT(Mistakes("silentDeadline: inf\n"), HasSubstr("from 0s to 1m"));
  EXPECT_THAT(Mistakes("trustDomain: Cluster.Local\n"),
              HasSubstr("a trust domain has"));
  EXPECT_THAT(Mistakes("trustDomainAliases: [ok, 'a/b']\n"),
              HasSubstr("'a/b': a trust domain has"));
  EXPECT_THAT(Mistakes("pathNormalization: base\n"), HasSubstr("use NONE"));
  EXPECT_THAT(Mistakes("node: Node_A\n"), HasSubstr("a Kubernetes name"));
  EXPECT_THAT(Mistakes("node: ''\n"), HasSubstr("a Kubernetes name"));
  EXPECT_THAT(Mistakes("cgroup: self\n"),
              HasSubstr("use auto or an absolute path"));
  EXPECT_THAT(Mistakes("runDir: ''\n"), HasSubstr("a path is needed"));
  EXPECT_THAT(Mistakes("metricsAddress: localhost\n"),
              HasSubstr("use an IP address"));
  EXPECT_EQ(Mistakes("metricsPort: 8000\nreadinessPort: 8000\n"),
            "readinessPort: 8000 is metricsPort, too: use another");
  EXPECT_THAT(Mistakes("runDir: /" + std::string(120, 'x') + "\n"),
              HasSubstr("bytes too long for a socket in it"));
}

TEST_F(ConfigTest, AWrongFlagIsNamedAsAFlag) {
  EXPECT_THAT(Mistakes("", {{"log.level", "loud"}}),
              HasSubstr("--log-level: "));
  EXPECT_THAT(Mistakes("", {{"meshCIDRs", "10.0.0.0/8,x"}}),
              HasSubstr("--mesh-cidrs: 'x': use an address block"));
  EXPECT_THAT(Mistakes("", {{"workers", "many"}}),
              HasSubstr("--workers: 'many': use a whole number"));
}

TEST_F(ConfigTest, EveryMistakeIsReportedAtOnce) {
  const std::string all =
      Mistakes("nodes: a\nworkers: x\nlog: {level: loud}\n");
  EXPECT_THAT(all, AllOf(HasSubstr(":1: unknown key 'nodes'"),
                         HasSubstr(":2: workers"), HasSubstr(":3: log.level")));
}

TEST_F(ConfigTest, AFileThatCannotBeReadSaysWhy) {
  EXPECT_THAT(std::string(LoadConfig(folder_ + "/none", {}).status().message()),
              AllOf(HasSubstr(folder_ + "/none"),
                    HasSubstr("No such file or directory")));
  EXPECT_THAT(std::string(LoadConfig(folder_, {}).status().message()),
              HasSubstr("is a folder"));
  EXPECT_THAT(Mistakes("node: [a\n"),
              AllOf(HasSubstr("config.yaml: "), HasSubstr("line ")));
  EXPECT_THAT(Mistakes("node: a\nnode: b\n"), HasSubstr("config.yaml: "));
  EXPECT_THAT(Mistakes("node: a\n---\nnode: b\n"),
              HasSubstr("a second YAML document"));
  EXPECT_THAT(Mistakes(std::string((1 << 20) + 2, '#')),
              HasSubstr("larger than 1 MiB"));
}

TEST(SettingsTest, FlagsAreTheKeysInLowerCaseWithDashes) {
  EXPECT_EQ(FlagOf("trustDomain"), "--trust-domain");
  EXPECT_EQ(FlagOf("ca.embedded"), "--ca-embedded");
  EXPECT_EQ(FlagOf("meshCIDRs"), "--mesh-cidrs");
  EXPECT_EQ(FlagOf("log.level"), "--log-level");
}

TEST(SettingsTest, HelpDocumentsEverySettingAndItsDefaultIsAccepted) {
  const std::string help = SettingsHelp();
  for (const Setting& setting : Settings()) {
    SCOPED_TRACE(setting.key);
    EXPECT_FALSE(setting.help.empty());
    EXPECT_THAT(help, HasSubstr(base::StrCat("  ", FlagOf(setting.key),
                                             "   key ", setting.key, ", ")));
    EXPECT_EQ(FindSetting(setting.key), &setting);
  }
  EXPECT_THAT(help, Not(HasSubstr("\t")));
  EXPECT_TRUE(LoadConfig("", {{"node", "a"}}).ok());
}

TEST_F(ConfigTest, ASwitchIsTrueOrFalse) {
  EXPECT_FALSE(Load("node: a")->takeover);
  EXPECT_TRUE(Load("node: a\ntakeover: true")->takeover);
  EXPECT_FALSE(Load("node: a\ntakeover: false")->takeover);
  EXPECT_TRUE(
      Load("node: a\ntakeover: false", {{"takeover", "true"}})->takeover);
  EXPECT_EQ(Mistakes("node: a\ntakeover: \"yes\""),
            "config.yaml:2: takeover: expected true or false, found text");
}

}  // namespace
}  // namespace nodeward::agent
