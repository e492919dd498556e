// SPDX-License-Identifier: Apache-2.0
//
// CLI11 lives here and in ca_options.cc: it reports by throwing, and Run
// catches it all.
#include "cli/main.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <memory>
#include <utility>

#include "agent/settings.h"
#include "base/text.h"
#include "cli/ca_options.h"
#include "cli/certs.h"
#include "cli/check_options.h"
#include "cli/completion.h"
#include "cli/edges.h"
#include "cli/in_charge.h"
#include "cli/policy.h"
#include "cli/run_agent.h"
#include "cli/status.h"
#include "cli/tap.h"
#include "cli/tap_options.h"
#include "cli/uninstall.h"
#include "cli/version.h"
#include "cni/call.h"
#include "cni/installer.h"
#include "cni/process.h"

namespace nodeward::cli {
namespace {

using base::StrCat;

// Help without "Needs" and "Excludes", which the texts tell where they matter.
class PlainFormatter : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return "";
    std::string text;
    const auto add = [&](const std::string& part) {
      if (!part.empty()) base::StrAppend(&text, " ", part);
    };
    add(option->get_type_name());
    if (!option->get_default_str().empty()) {
      add(StrCat("[", option->get_default_str(), "]"));
    }
    if (option->get_required()) add("(required)");
    return text;
  }
};

// The parser, and the options that it fills.
struct CommandLine {
  explicit CommandLine(const Environment& environment);

  CLI::App* AddCommand(const std::string& name, const std::string& help,
                       const std::string& examples);
  void AddAgent();
  void AddCerts();
  void AddEdges();
  void AddInCharge();
  void AddPolicy();
  void AddPolicyTest(CLI::App* policy);
  void AddPolicyLint(CLI::App* policy);
  void AddStatus();
  void AddUninstall();
  void AddCompletion();
  std::vector<CommandWords> Words() const;

  CLI::App app{"Mutual TLS for pods, without sidecars.", "nodeward"};
  std::string run_dir;
  bool show_version = false;
  AgentOptions agent;
  CertsOptions certs;
  ShowCertificateOptions show_certificate;
  CheckFlags check;
  CaOptions ca;
  EdgesOptions edges;
  PolicyTestOptions policy_test;
  PolicyLintOptions policy_lint;
  StatusOptions status;
  TapOptions tap;
  UninstallOptions uninstall;
  std::string shell;
};

void AddRunDir(CLI::App* command, std::string* run_dir) {
  command
      ->add_option("--run-dir", *run_dir,
                   "The agent's runDir (environment: NODEWARD_RUN_DIR)")
      ->type_name("DIR");
}

CommandLine::CommandLine(const Environment& environment)
    : run_dir(environment.run_dir) {
  app.require_subcommand(0, 1);
  app.formatter(std::make_shared<PlainFormatter>());
  app.add_flag("--version", show_version, "Print the version and exit");
  AddRunDir(&app, &run_dir);
  AddAgent();
  AddCerts();
  AddCheckOptions(AddCommand("check",
                             "Check this node, or all of a cluster: kernel, "
                             "capture, agent, certificates",
                             ""),
                  &run_dir, &check);
  AddCaOptions(AddCommand("ca", "Run a CA for the agents, or make one", ""),
               &ca);
  AddEdges();
  AddInCharge();
  AddPolicy();
  AddStatus();
  AddTapOptions(
      AddCommand("tap", "Show requests and answers of this node's pods", ""),
      &run_dir, &tap);
  AddUninstall();
  AddCommand("cni", "Answer a container runtime: CNI plugin of this node",
             "echo '{\"cniVersion\": \"1.0.0\"}' | CNI_COMMAND=VERSION "
             "nodeward cni\n\n"
             "The agent installs it by itself (cni.confDir), as nodeward-cni.");
  AddCommand("version", "Print the version", "nodeward version");
  AddCompletion();
  app.footer("nodeward COMMAND --help tells more about each.");
}

void SetExamples(CLI::App* command, const std::string& examples) {
  std::string footer = "Examples:\n";
  for (const char c : examples) {
    if (c != '\n' && footer.back() == '\n') footer += "  ";
    footer += c;
  }
  command->footer(footer);
}

CLI::App* CommandLine::AddCommand(const std::string& name,
                                  const std::string& help,
                                  const std::string& examples) {
  CLI::App* const command = app.add_subcommand(name, help);
  SetExamples(command, examples);
  return command;
}

void CommandLine::AddAgent() {
  CLI::App* const command = AddCommand(
      "agent", "Run the agent of this node until SIGTERM or SIGINT", "");
  command->add_option("--config", agent.config, "YAML file of settings")
      ->type_name("FILE");
  for (const agent::Setting& setting : agent::Settings()) {
    const std::string key(setting.key);
    const bool is_switch = setting.type == agent::SettingType::kSwitch;
    CLI::Option* const option = command->add_option_function<std::string>(
        agent::FlagOf(key), [this, key, is_switch](const std::string& value) {
          agent.flags[key] = is_switch && value.empty() ? "true" : value;
        });
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
        ->group("");  // shown by SettingsHelp instead
    if (is_switch) option->expected(0, 1);
  }
  command->footer(StrCat(
      "Settings: each is a flag and a key of the file; a flag beats the "
      "file.\n",
      agent::SettingsHelp(),
      "\nExamples:\n"
      "  nodeward agent --config /etc/nodeward/config.yaml\n"
      "  nodeward agent --config node-a.yaml --node node-a --log-level debug\n"
      "  nodeward agent --mesh-cidrs 10.244.0.0/16,10.96.0.0/12\n"
      "  nodeward agent --config /etc/nodeward/config.yaml --takeover\n\n"
      "A file:\n"
      "  node: node-a\n"
      "  source: {manifests: /etc/nodeward/manifests}\n"
      "  ca: {embedded: /var/lib/nodeward/ca}\n"
      "  log: {level: info, format: json}"));
}

void CommandLine::AddCerts() {
  CLI::App* const command = AddCommand(
      "certs", "Show the certificates of this node's ServiceAccounts",
      "nodeward certs\n"
      "nodeward certs -o json\n"
      "nodeward certs show mtls-test/httpbin --text");
  AddRunDir(command, &run_dir);
  command->add_option("-o,--output", certs.output, "How to print it")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT");
  command->require_subcommand(0, 1);
  CLI::App* const show = command->add_subcommand(
      "show", "Print one certificate and its chain, as PEM");
  AddRunDir(show, &run_dir);
  show->add_flag("--text", show_certificate.text, "Decoded instead");
  show->add_option("ID", show_certificate.identity,
                   "spiffe://… or NAMESPACE/SERVICEACCOUNT")
      ->required()
      ->type_name("");
}

void CommandLine::AddEdges() {
  CLI::App* const command = AddCommand(
      "edges", "Show who speaks to whom here, and whether it is secured",
      "nodeward edges\n"
      "nodeward edges -n emojivoto -o wide\n"
      "nodeward edges -o json\n\n"
      "SECURED is √ only when every connection open now or ended within ten\n"
      "minutes was mutual TLS with both identities verified; else it says why\n"
      "not.");
  AddRunDir(command, &run_dir);
  command
      ->add_option("-n,--namespace", edges.name_space,
                   "Only edges with an end in this namespace")
      ->type_name("NS");
  command->add_option("-o,--output", edges.output, "How to print it")
      ->check(CLI::IsMember({"table", "wide", "json"}))
      ->type_name("FORMAT");
}

void CommandLine::AddInCharge() {
  AddRunDir(
      AddCommand("in-charge",
                 "Is the agent of this container the one that serves the node?",
                 "nodeward in-charge\n\n"
                 "For a startup probe: the exit status is 0 once the agent of\n"
                 "the container it runs in serves, and 1 while another does."),
      &run_dir);
}

void CommandLine::AddPolicy() {
  CLI::App* const command = AddCommand(
      "policy", "Ask and check policies: who may call what",
      "nodeward policy test --from cluster.local/ns/full/sa/sleep \\\n"
      "  --to mtls-test/httpbin --port 8000\n"
      "nodeward policy lint manifests/");
  command->require_subcommand(1);
  AddPolicyTest(command);
  AddPolicyLint(command);
}

// What replaces the running agent's settings.
void AddManifestSettings(CLI::App* command, CLI::Option* manifests,
                         ManifestsOptions* options) {
  const auto add = [&](CLI::Option* option, const char* type) {
    option->type_name(type);
    if (manifests != nullptr) option->needs(manifests);
  };
  add(command->add_option("--trust-domain", options->trust_domain,
                          "The mesh's own (cluster.local)"),
      "DOMAIN");
  add(command
          ->add_option("--trust-domain-alias", options->trust_domain_aliases,
                       "Another name of it; may be repeated")
          ->allow_extra_args(false),
      "DOMAIN");
  add(command
          ->add_option("--federated-trust-domain",
                       options->federated_trust_domains,
                       "Another one that is trusted; may be repeated")
          ->allow_extra_args(false),
      "DOMAIN");
  add(command->add_option("--root-namespace", options->root_namespace,
                          "Whose policies are the whole mesh's "
                          "(istio-system)"),
      "NS");
}

void CommandLine::AddPolicyTest(CLI::App* policy) {
  CLI::App* const command = policy->add_subcommand(
      "test", "May A call B, and why? By the running agent, or by manifests");
  SetExamples(
      command,
      "nodeward policy test --from cluster.local/ns/full/sa/sleep \\\n"
      "  --to mtls-test/httpbin --port 8000 --method GET --path /headers\n"
      "nodeward policy test --from none --from-ip 10.0.0.7 --to db/mongo-0 "
      "\\\n"
      "  --port 27017 --manifests ./manifests\n"
      "nodeward policy test --manifests ./manifests --batch cases.jsonl\n\n"
      "The exit status is 0 for ALLOW, 3 for DENY. --port is the Service's "
      "where\n--to is one, else the pod's. A batch has one JSON object a "
      "line:\n"
      "  {\"id\", \"from\", \"fromIp\", \"to\", \"port\", \"protocol\": "
      "\"http\"|\"tcp\",\n"
      "   \"method\", \"path\", \"host\", \"headers\": {}, \"sni\"}\n"
      "and gets one a line; its exit status is 1 when a line has no answer.");
  PolicyTestOptions& o = policy_test;
  AddRunDir(command, &run_dir);
  CLI::Option* const batch =
      command
          ->add_option("--batch", o.batch,
                       "Answer every line of a file (-: standard input)")
          ->type_name("FILE");
  const auto add = [&](const char* name, auto* value, const char* help,
                       const char* type) {
    return command->add_option(name, *value, help)
        ->type_name(type)
        ->excludes(batch);
  };
  add("--from", &o.from, "The caller's principal, or none for plaintext", "ID");
  add("--from-ip", &o.from_ip, "The caller's address", "IP");
  add("--to", &o.to, "The pod or service that is called", "NS/NAME");
  add("--port", &o.port, "Its port (default: its first)", "PORT");
  add("--protocol", &o.protocol,
      "http or tcp (default: http if anything of HTTP is given)", "NAME")
      ->check(CLI::IsMember({"http", "tcp"}));
  add("--method", &o.method, "HTTP method (GET)", "NAME");
  add("--path", &o.path, "HTTP path, with query (/)", "PATH");
  add("--host", &o.host, "HTTP Host or :authority", "NAME");
  add("--header", &o.headers, "HTTP header; may be repeated", "NAME=VALUE")
      ->allow_extra_args(false);
  add("--sni", &o.sni, "Server name in the client's TLS hello", "NAME");
  command->add_option("-o,--output", o.output, "How to print it")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT");
  CLI::Option* const manifests =
      command
          ->add_option("--manifests", o.manifests.path,
                       "Ask these manifests (a directory or a file), not the "
                       "running agent")
          ->type_name("DIR");
  AddManifestSettings(command, manifests, &o.manifests);
  command
      ->add_option("--path-normalization", o.manifests.path_normalization,
                   "NONE, BASE, MERGE_SLASHES or DECODE_AND_MERGE_SLASHES "
                   "(BASE)")
      ->check(CLI::IsMember(
          {"NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"}))
      ->needs(manifests)
      ->type_name("MODE");
}

void CommandLine::AddPolicyLint(CLI::App* policy) {
  CLI::App* const command = policy->add_subcommand(
      "lint", "What of these manifests would be rejected, what surprises?");
  SetExamples(command,
              "nodeward policy lint manifests/\n"
              "nodeward policy lint httpbin-deny.yaml -o json\n\n"
              "The exit status is 0 when all is acceptable, 1 when something "
              "would be\nrejected.");
  command
      ->add_option("PATH", policy_lint.manifests.path, "A directory or a file")
      ->required()
      ->type_name("");
  command->add_option("-o,--output", policy_lint.output, "How to print it")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT");
  AddManifestSettings(command, nullptr, &policy_lint.manifests);
}

void CommandLine::AddStatus() {
  CLI::App* const command = AddCommand(
      "status",
      "Show this node's pods, why each is in the mesh or not, and "
      "the agent",
      "nodeward status\n"
      "nodeward status -n mtls-test\n"
      "nodeward status -n mtls-test httpbin-7d4f9-abcde\n"
      "nodeward status -o json\n\n"
      "The exit status is 1 when a pod shown is pending or failed, or a\n"
      "problem closes something.");
  AddRunDir(command, &run_dir);
  command
      ->add_option("-n,--namespace", status.name_space,
                   "Only pods of this namespace")
      ->type_name("NS");
  command->add_option("-o,--output", status.output, "How to print it")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT");
  command->add_option("POD", status.pod, "Only this pod (POD or NS/POD)")
      ->type_name("");
}

void CommandLine::AddUninstall() {
  CLI::App* const command = AddCommand(
      "uninstall",
      "Take every hook, pin, rule and sysctl and the CNI plugin off this node",
      "nodeward uninstall --node\n"
      "nodeward uninstall --node --bpf-dir /sys/fs/bpf/other");
  uninstall.bpf_dir = agent::FindSetting("bpfDir")->fallback;
  uninstall.conf_dir = cni::kDefaultConfigurationDir;
  uninstall.bin_dir = cni::kDefaultProgramDir;
  AddRunDir(command, &run_dir);
  command->add_flag("--node", uninstall.node, "Everything on this node");
  command
      ->add_option("--bpf-dir", uninstall.bpf_dir,
                   "Where the agent pinned its BPF programs")
      ->type_name("DIR")
      ->capture_default_str();
  command
      ->add_option("--cni-conf-dir", uninstall.conf_dir,
                   "The agent's cni.confDir")
      ->type_name("DIR")
      ->capture_default_str();
  command
      ->add_option("--cni-bin-dir", uninstall.bin_dir, "The agent's cni.binDir")
      ->type_name("DIR")
      ->capture_default_str();
}

void CommandLine::AddCompletion() {
  CLI::App* const command = AddCommand(
      "completion", "Print the completion script of a shell",
      "source <(nodeward completion bash)\n"
      "nodeward completion zsh > ~/.zfunc/_nodeward\n"
      "nodeward completion fish > ~/.config/fish/completions/nodeward.fish");
  command->add_option("SHELL", shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("");
}

CommandWords WordsOf(const CLI::App& command, const std::string& name) {
  CommandWords words{name, command.get_description(), {}};
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& one : option->get_lnames()) {
      words.options.push_back("--" + one);
    }
    for (const std::string& one : option->get_snames()) {
      words.options.push_back("-" + one);
    }
  }
  return words;
}

std::vector<CommandWords> CommandLine::Words() const {
  std::vector<CommandWords> all = {WordsOf(app, "")};
  for (const CLI::App* command : app.get_subcommands({})) {
    CommandWords words = WordsOf(*command, command->get_name());
    for (const CLI::App* inner : command->get_subcommands({})) {
      words.options.push_back(inner->get_name());
      for (const std::string& option : WordsOf(*inner, "").options) {
        if (std::find(words.options.begin(), words.options.end(), option) ==
            words.options.end()) {
          words.options.push_back(option);
        }
      }
    }
    all.push_back(std::move(words));
  }
  return all;
}

base::StatusOr<int> Dispatch(Environment& environment, CommandLine& line,
                             const std::string& command) {
  if (command == "agent") {
    if (line.app.count("--run-dir") > 0) {
      line.agent.flags.emplace("runDir", line.run_dir);
    }
    return RunAgent(environment, line.agent);
  }
  if (command == "certs") {
    const CLI::App* const certs = line.app.get_subcommands()[0];
    if (!certs->get_subcommands().empty()) {
      line.show_certificate.run_dir = line.run_dir;
      return ShowCertificate(environment, line.show_certificate);
    }
    line.certs.run_dir = line.run_dir;
    return Certs(environment, line.certs);
  }
  if (command == "check") {
    return DispatchCheck(environment, *line.app.get_subcommand("check"),
                         line.run_dir, line.check);
  }
  if (command == "ca") {
    return DispatchCa(environment, *line.app.get_subcommand("ca"), line.ca);
  }
  if (command == "edges") {
    line.edges.run_dir = line.run_dir;
    return Edges(environment, line.edges);
  }
  if (command == "in-charge") return InCharge(environment, line.run_dir);
  if (command == "policy test") {
    line.policy_test.run_dir = line.run_dir;
    return PolicyTest(environment, line.policy_test);
  }
  if (command == "policy lint") {
    return PolicyLint(environment, line.policy_lint);
  }
  if (command == "status") {
    line.status.run_dir = line.run_dir;
    return ShowStatus(environment, line.status);
  }
  if (command == "tap") {
    line.tap.run_dir = line.run_dir;
    return Tap(environment, line.tap);
  }
  if (command == "cni") return environment.run_plugin();
  if (command == "uninstall") {
    line.uninstall.run_dir = line.run_dir;
    return Uninstall(environment, line.uninstall);
  }
  if (command == "completion") {
    return PrintCompletion(environment, line.shell, line.Words());
  }
  return ShowVersion(environment);
}

int Report(Environment& environment, const std::string& command,
           const base::StatusOr<int>& result) {
  if (result.ok()) return *result;
  const std::string message(result.status().message());
  // Several mistakes come a line each.
  const bool many = message.find('\n') != std::string::npos;
  environment.err << "nodeward " << command << (many ? ":\n" : ": ") << message
                  << "\n";
  return kProblem;
}

int Parse(Environment& environment, std::vector<std::string> arguments) {
  CommandLine line(environment);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    line.app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      line.app.exit(error, environment.out, environment.err);
      return kOk;
    }
    const auto chosen = line.app.get_subcommands();
    const std::string name =
        chosen.empty() ? "nodeward" : "nodeward " + chosen[0]->get_name();
    environment.err << name << ": " << error.what() << "\n"
                    << "See " << name << " --help.\n";
    return kUsage;
  }
  if (line.show_version) return ShowVersion(environment);
  const auto chosen = line.app.get_subcommands();
  if (chosen.empty()) {
    environment.err << line.app.help();
    return kUsage;
  }
  std::string command = chosen[0]->get_name();
  if (command == "policy") {
    for (const CLI::App* inner : chosen[0]->get_subcommands()) {
      command += " " + inner->get_name();
    }
  }
  if (command == "policy test" && line.policy_test.batch.empty() &&
      (line.policy_test.from.empty() || line.policy_test.to.empty())) {
    environment.err << "nodeward policy test: --from and --to are required, or "
                       "--batch\nSee nodeward policy test --help.\n";
    return kUsage;
  }
  return Report(environment, command, Dispatch(environment, line, command));
}

}  // namespace

int Run(Environment& environment, const std::vector<std::string>& arguments) {
  try {
    const int status = Parse(environment, arguments);
    environment.out.flush();
    return status;
  } catch (const std::exception& error) {
    environment.err << "nodeward: " << error.what() << "\n";
    return kProblem;
  }
}

int Main(int argc, char** argv) {
  // As a CNI plugin it goes by the name of its file.
  const std::string_view name = argc > 0 ? argv[0] : "";
  if (name.substr(name.rfind('/') + 1) == cni::kPluginName) {
    return cni::RunProcess();
  }
  Environment environment = ProcessEnvironment();
  return Run(environment,
             std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
}

}  // namespace nodeward::cli
