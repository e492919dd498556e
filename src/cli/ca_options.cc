// SPDX-License-Identifier: Apache-2.0
//
// Beside main.cc the other file of CLI11, whose exceptions Run catches.
#include "cli/ca_options.h"

namespace nodeward::cli {
namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  nodeward ca --issuer /etc/issuer --kubernetes --name "
    "nodeward-ca.nodeward-system.svc\n"
    "  nodeward ca --issuer /etc/issuer --roots /etc/roots/ca-bundle.crt "
    "--token-file /etc/tokens --manifests /etc/nodeward/manifests\n"
    "  nodeward ca init /root/ca\n"
    "  nodeward ca issue-intermediate /root/ca /etc/issuer\n"
    "  nodeward ca status /etc/issuer\n\n"
    "The issuer's folder may be that of cert-manager (tls.crt, tls.key, "
    "ca.crt), of\n"
    "Linkerd (crt.pem, key.pem), of Istio (ca-cert.pem, ca-key.pem, "
    "cert-chain.pem,\n"
    "root-cert.pem), of certstrap or step (NAME.crt, NAME.key), or one PEM "
    "file with\n"
    "everything in it. It is watched, and swapped without a restart.";

void AddIssuer(CLI::App* command, ca::Options* options) {
  command->add_option("--issuer", options->issuer, "What to sign with")
      ->type_name("DIR|FILE");
  command
      ->add_option("--issuer-pair", options->issuer_pair,
                   "The certificate's file in it, where there are several")
      ->type_name("NAME");
  command
      ->add_option("--roots", options->roots,
                   "The trust bundle, where the issuer's folder has none")
      ->type_name("DIR|FILE");
  command
      ->add_option("--trust-domain", options->trust_domain,
                   "Of the SPIFFE IDs that it issues")
      ->type_name("NAME")
      ->capture_default_str();
}

// Of ca::Options and of CaCreateSecretOptions alike.
template <typename Options>
void AddKubernetes(CLI::App* command, Options* options) {
  command
      ->add_option("--kubernetes-api", options->kubernetes_api,
                   "Its https:// address (default: a pod's environment)")
      ->type_name("URL");
  command
      ->add_option("--kubernetes-ca", options->kubernetes_ca,
                   "Its roots (default: a pod's ca.crt)")
      ->type_name("FILE");
  command
      ->add_option("--kubernetes-token", options->kubernetes_token,
                   "Our own token (default: a pod's)")
      ->type_name("FILE");
}

void AddCallers(CLI::App* command, ca::Options* options) {
  command
      ->add_option("--token-file", options->token_file,
                   "Tokens and whose they are, a line each: TOKEN|"
                   "sha256:HEX system:serviceaccount:NS:ACCOUNT [node=NODE] "
                   "[pod=POD] [uid=UID]")
      ->type_name("FILE");
  command->add_flag("--kubernetes", options->kubernetes,
                    "Have the API server review tokens (TokenReview)");
  AddKubernetes(command, options);
  command
      ->add_option("--publish-roots", options->publish_roots,
                   "Keep root-cert.pem of this ConfigMap at our roots (needs "
                   "--kubernetes)")
      ->type_name("NS/NAME");
  command->add_flag("--publish-to-namespaces", options->publish_to_namespaces,
                    "One of that name in every namespace that has opted in, "
                    "too");
  command
      ->add_option("--events-on", options->events_on,
                   "Write Kubernetes Events of this Deployment, the CA's own "
                   "(needs --kubernetes)")
      ->type_name("NS/NAME");
  command
      ->add_option("--lease", options->lease,
                   "Of several CAs one writes Events and publishes roots: who "
                   "holds this Lease (needs --kubernetes)")
      ->type_name("NS/NAME");
  command
      ->add_option("--audience", options->audiences,
                   "Audiences of which a caller's token must have one "
                   "(istio-ca for ztunnel)")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      ->add_option("--trusted-agent", options->trusted_agents,
                   "ServiceAccounts that may ask for the pods of their node")
      ->type_name("NS/ACCOUNT")
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      ->add_option("--manifests", options->manifests,
                   "Kubernetes YAML that says which pods there are (default: "
                   "the API server, with --kubernetes)")
      ->type_name("DIR");
}

void AddCertificates(CLI::App* command, ca::Options* options) {
  command
      ->add_option("--lifetime", options->lifetime,
                   "Of certificates, unless the caller asks otherwise")
      ->capture_default_str();
  command
      ->add_option("--max-lifetime", options->max_lifetime,
                   "The longest that a caller gets")
      ->capture_default_str();
  command
      ->add_option("--clock-skew", options->clock_skew,
                   "How far before now a certificate is valid")
      ->capture_default_str();
}

void AddPorts(CLI::App* command, ca::Options* options) {
  command->add_option("--listen", options->listen, "gRPC with TLS")
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  command
      ->add_option("--name", options->names,
                   "DNS names and addresses in its own certificate")
      ->type_name("NAME|ADDRESS")
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      ->add_option("--admin", options->admin,
                   "/metrics and /healthz/ready; empty: none")
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  command
      ->add_option("--drain", options->drain,
                   "How long open requests may take at the end")
      ->capture_default_str();
}

void AddLimits(CLI::App* command, ca::Options* options) {
  command
      ->add_option("--rate", options->rate,
                   "Requests a second of one caller, in the long run")
      ->capture_default_str();
  command
      ->add_option("--burst", options->burst,
                   "Requests of one caller at once after a rest")
      ->capture_default_str();
  command
      ->add_option("--in-flight", options->in_flight,
                   "Unanswered requests of one caller")
      ->capture_default_str();
  command
      ->add_option("--log-level", options->log_level,
                   "debug, info, warn or error")
      ->capture_default_str();
  command->add_option("--log-format", options->log_format, "text or json")
      ->capture_default_str();
}

void AddInit(CLI::App* parent, CaInitOptions* options) {
  CLI::App* const command = parent->add_subcommand(
      "init", "Make a root: ca.crt and ca.key in a folder that has none");
  command->add_option("DIR", options->folder)->required()->type_name("");
  command->add_option("--trust-domain", options->trust_domain)
      ->capture_default_str();
  command->add_option("--lifetime", options->lifetime)->capture_default_str();
  command->footer(
      "Examples:\n"
      "  nodeward ca init /root/ca\n"
      "  nodeward ca init /root/ca --trust-domain example.org --lifetime "
      "175200h");
}

void AddIntermediate(CLI::App* parent, CaIntermediateOptions* options) {
  CLI::App* const command = parent->add_subcommand(
      "issue-intermediate",
      "Make an issuer under a root: tls.crt, tls.key and ca.crt in a new "
      "folder");
  command->add_option("ROOT", options->root, "Folder of the root")
      ->required()
      ->type_name("");
  command->add_option("DIR", options->folder, "Folder to make")
      ->required()
      ->type_name("");
  command->add_option("--trust-domain", options->trust_domain)
      ->capture_default_str();
  command->add_option("--common-name", options->common_name)
      ->capture_default_str();
  command->add_option("--lifetime", options->lifetime)->capture_default_str();
  command->footer(
      "Examples:\n"
      "  nodeward ca issue-intermediate /root/ca /etc/issuer\n"
      "  nodeward ca issue-intermediate /root/ca /etc/issuer --lifetime 720h");
}

void AddCreateSecret(CLI::App* parent, CaCreateSecretOptions* options) {
  CLI::App* const command = parent->add_subcommand(
      "create-secret",
      "Make a root and put it into a Secret (tls.crt, tls.key, ca.crt), unless "
      "there is one; it needs the verb create on Secrets alone");
  command->add_option("SECRET", options->secret, "NAMESPACE/NAME")
      ->required()
      ->type_name("");
  command->add_option("--trust-domain", options->trust_domain)
      ->capture_default_str();
  command->add_option("--lifetime", options->lifetime)->capture_default_str();
  AddKubernetes(command, options);
  command->footer(
      "Examples:\n"
      "  nodeward ca create-secret nodeward-system/nodeward-ca\n"
      "  nodeward ca create-secret nodeward-system/nodeward-ca "
      "--kubernetes-api https://10.89.0.1:6443 --kubernetes-ca ca.crt "
      "--kubernetes-token token");
}

void AddStatus(CLI::App* parent, CaStatusOptions* options) {
  CLI::App* const command = parent->add_subcommand(
      "status", "Show an issuer: would a CA take it, and how long is it valid");
  command->add_option("ISSUER", options->issuer, "Folder or PEM file")
      ->required()
      ->type_name("");
  command->add_option("--issuer-pair", options->issuer_pair)->type_name("NAME");
  command->add_option("--roots", options->roots)->type_name("DIR|FILE");
  command->add_option("--trust-domain", options->trust_domain)
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "How to print it")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT");
  command->footer(
      "Examples:\n"
      "  nodeward ca status /etc/issuer\n"
      "  nodeward ca status /etc/issuer --roots bundle.crt -o json");
}

}  // namespace

void AddCaOptions(CLI::App* command, CaOptions* options) {
  command->require_subcommand(0, 1);
  AddIssuer(command, &options->run);
  AddCallers(command, &options->run);
  AddCertificates(command, &options->run);
  AddPorts(command, &options->run);
  AddLimits(command, &options->run);
  AddInit(command, &options->init);
  AddIntermediate(command, &options->intermediate);
  AddCreateSecret(command, &options->create_secret);
  AddStatus(command, &options->status);
  command->footer(kExamples);
}

base::StatusOr<int> DispatchCa(Environment& environment,
                               const CLI::App& command,
                               const CaOptions& options) {
  const auto chosen = command.get_subcommands();
  if (chosen.empty()) return RunCa(environment, options.run);
  const std::string name = chosen[0]->get_name();
  if (name == "init") return CaInit(environment, options.init);
  if (name == "create-secret") {
    return CaCreateSecret(environment, options.create_secret);
  }
  if (name == "status") return CaStatus(environment, options.status);
  return CaIssueIntermediate(environment, options.intermediate);
}

}  // namespace nodeward::cli
