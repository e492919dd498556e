// SPDX-License-Identifier: Apache-2.0
#include "cli/tap_options.h"

namespace nodeward::cli {

void AddTapOptions(CLI::App* command, std::string* run_dir,
                   TapOptions* options) {
  command->footer(
      "Examples:\n"
      "  nodeward tap deploy/web -n emojivoto\n"
      "  nodeward tap ns/emojivoto --method POST --path /emojivoto.v1\n"
      "  nodeward tap pod/web-7d4f9-abcde -n emojivoto --to svc/voting -o "
      "wide\n"
      "  nodeward tap web -n emojivoto -o json --max-rps 1000\n\n"
      "RESOURCE is deploy/NAME (or whatever owns the pods), pod/NAME, "
      "svc/NAME,\n"
      "ns/NAME, or the NAME of a pod or owner; without one: all pods of this\n"
      "node. A request in HTTP/1 or HTTP/2 is the lines req, rsp and end; any\n"
      "other connection is open and close. Only connections made from now on "
      "are\nshown, and no bodies. It ends with Ctrl-C.");
  const auto add = [&](const char* name, std::string* value, const char* help,
                       const char* type) {
    return command->add_option(name, *value, help)->type_name(type);
  };
  add("--run-dir", run_dir,
      "The agent's runDir (environment: NODEWARD_RUN_DIR)", "DIR");
  add("-n,--namespace", &options->name_space, "The namespace of RESOURCE",
      "NS");
  add("--to", &options->to, "Only what is sent to this one", "RESOURCE");
  add("--to-namespace", &options->to_namespace, "The namespace of --to", "NS");
  add("--method", &options->method, "Only requests with this method", "NAME");
  add("--path", &options->path, "Only requests whose path begins so", "PREFIX");
  add("--authority", &options->authority,
      "Only requests to this Host or :authority", "NAME");
  command
      ->add_option("--max-rps", options->max_rps,
                   "Show so many requests a second at most")
      ->type_name("NUMBER")
      ->capture_default_str();
  add("-o,--output", &options->output, "How to print it", "FORMAT")
      ->check(CLI::IsMember({"lines", "wide", "json"}));
  add("RESOURCE", &options->resource, "What to look at", "");
}

}  // namespace nodeward::cli
