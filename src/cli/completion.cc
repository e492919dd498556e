// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <string_view>

#include "base/text.h"

namespace nodeward::cli {
namespace {

using base::StrAppend;
using base::StrCat;

std::string Names(const std::vector<CommandWords>& commands,
                  std::string_view separator) {
  std::string names;
  for (const CommandWords& command : commands) {
    if (command.name.empty()) continue;
    StrAppend(&names, names.empty() ? "" : separator, command.name);
  }
  return names;
}

std::string Options(const CommandWords& command) {
  std::string options;
  for (const std::string& option : command.options) {
    StrAppend(&options, options.empty() ? "" : " ", option);
  }
  return options;
}

// The arms of a shell `case` from command to what may follow it.
std::string Cases(const std::vector<CommandWords>& commands,
                  std::string_view before, std::string_view after) {
  std::string cases;
  for (const CommandWords& command : commands) {
    StrAppend(&cases, "    ", command.name.empty() ? "''" : command.name, ") ",
              before, Options(command));
    if (command.name.empty()) StrAppend(&cases, " ", Names(commands, " "));
    if (command.name == "completion") StrAppend(&cases, " bash zsh fish");
    StrAppend(&cases, after, " ;;\n");
  }
  return cases;
}

std::string Bash(const std::vector<CommandWords>& commands) {
  return StrCat(
      R"(# nodeward completion bash; try: source <(nodeward completion bash)
_nodeward() {
  local current=${COMP_WORDS[COMP_CWORD]} command= words= word
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
    )",
      Names(commands, "|"), R"() command=$word; break ;;
    esac
  done
  case $command in
)",
      Cases(commands, "words='", "'"), R"(  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _nodeward nodeward
)");
}

std::string Zsh(const std::vector<CommandWords>& commands) {
  return StrCat(R"(#compdef nodeward
# nodeward completion zsh; try: source <(nodeward completion zsh)
_nodeward() {
  local command= word
  local -a offered
  for word in ${words[2,CURRENT-1]}; do
    case $word in
    )",
                Names(commands, "|"), R"() command=$word; break ;;
    esac
  done
  case $command in
)",
                Cases(commands, "offered=(", ")"), R"(  esac
  compadd -- $offered
  _files
}
if [[ $funcstack[1] == _nodeward ]]; then
  _nodeward "$@"
else
  compdef _nodeward nodeward
fi
)");
}

// Fish quotes with ' and escapes with \ inside.
std::string FishQuoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string Fish(const std::vector<CommandWords>& commands) {
  std::string script =
      "# nodeward completion fish; try: nodeward completion fish | source\n";
  for (const CommandWords& command : commands) {
    const std::string condition =
        command.name.empty()
            ? "__fish_use_subcommand"
            : StrCat("__fish_seen_subcommand_from ", command.name);
    if (!command.name.empty()) {
      StrAppend(&script, "complete -c nodeward -f -n __fish_use_subcommand -a ",
                command.name, " -d ", FishQuoted(command.help), "\n");
    }
    for (const std::string& option : command.options) {
      if (!option.starts_with('-')) {
        StrAppend(&script, "complete -c nodeward -f -n '", condition, "' -a ",
                  option, "\n");
        continue;
      }
      const bool is_long = option.starts_with("--");
      StrAppend(&script, "complete -c nodeward -n '", condition, "' ",
                is_long ? "-l " : "-s ", option.substr(is_long ? 2 : 1), "\n");
    }
    if (command.name == "completion") {
      StrAppend(&script, "complete -c nodeward -f -n '", condition,
                "' -a 'bash zsh fish'\n");
    }
  }
  return script;
}

}  // namespace

base::StatusOr<int> PrintCompletion(Environment& environment,
                                    const std::string& shell,
                                    const std::vector<CommandWords>& commands) {
  if (shell == "bash") {
    environment.out << Bash(commands);
  } else if (shell == "zsh") {
    environment.out << Zsh(commands);
  } else if (shell == "fish") {
    environment.out << Fish(commands);
  } else {
    return absl::InvalidArgumentError(
        StrCat("no completion for '", shell, "': use bash, zsh or fish"));
  }
  return kOk;
}

}  // namespace nodeward::cli
