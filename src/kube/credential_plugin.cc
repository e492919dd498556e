// SPDX-License-Identifier: Apache-2.0
#include "kube/credential_plugin.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/text.h"
#include "pki/key.h"

namespace nodeward::kube {
namespace {

using base::Json;

constexpr size_t kMaxAnswer = 1 << 20;

// What the plugin is told, in KUBERNETES_EXEC_INFO.
std::string Question(const ClusterAccess& access) {
  const CredentialPlugin& plugin = *access.plugin;
  Json spec{{"interactive", isatty(STDIN_FILENO) == 1}};
  if (plugin.wants_cluster) {
    Json cluster{{"server", access.server}};
    if (!access.server_name.empty()) {
      cluster["tls-server-name"] = access.server_name;
    }
    if (access.insecure) cluster["insecure-skip-tls-verify"] = true;
    if (!access.roots.empty()) {
      cluster["certificate-authority-data"] = absl::Base64Escape(access.roots);
    }
    spec["cluster"] = std::move(cluster);
  }
  return Json{{"kind", "ExecCredential"},
              {"apiVersion", plugin.version},
              {"spec", std::move(spec)}}
      .dump();
}

std::vector<char*> Pointers(std::vector<std::string>* words) {
  std::vector<char*> pointers;
  for (std::string& word : *words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> EnvironmentOf(const ClusterAccess& access) {
  auto own = access.plugin->environment;
  own["KUBERNETES_EXEC_INFO"] = Question(access);
  std::vector<std::string> all;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view line = *each;
    if (!own.contains(std::string(line.substr(0, line.find('='))))) {
      all.emplace_back(line);
    }
  }
  for (const auto& [name, value] : own) {
    all.push_back(base::StrCat(name, "=", value));
  }
  return all;
}

// Its standard output; its standard error is ours.
base::StatusOr<std::string> Run(const ClusterAccess& access) {
  const CredentialPlugin& plugin = *access.plugin;
  std::vector<std::string> words = {plugin.command};
  words.insert(words.end(), plugin.arguments.begin(), plugin.arguments.end());
  std::vector<std::string> environment = EnvironmentOf(access);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return base::ErrnoStatus(errno, "pipe");
  const base::Fd from(ends[0]);
  base::Fd to(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to.get(), STDOUT_FILENO);
  pid_t child = 0;
  const int error =
      posix_spawnp(&child, plugin.command.c_str(), &actions, nullptr,
                   Pointers(&words).data(), Pointers(&environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return base::ErrnoStatus(error, "run " + plugin.command);
  to.Reset();
  std::string answer;
  char part[4096];
  ssize_t got = 0;
  while ((got = read(from.get(), part, sizeof(part))) > 0 ||
         (got < 0 && errno == EINTR)) {
    if (got > 0 && answer.size() < kMaxAnswer) {
      answer.append(part, static_cast<size_t>(got));
    }
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) {
    return absl::UnauthenticatedError(
        WIFEXITED(status)
            ? base::StrCat("it ended with status ", WEXITSTATUS(status))
            : base::StrCat("it was ended by signal ", WTERMSIG(status)));
  }
  return answer;
}

}  // namespace

base::Status FetchCredential(ClusterAccess* access) {
  if (!access->plugin.has_value()) return base::OkStatus();
  const CredentialPlugin& plugin = *access->plugin;
  const std::string title =
      base::StrCat("the kubeconfig's exec plugin ", plugin.command);
  auto answer = Run(*access);
  if (!answer.ok()) {
    const std::string& hint = plugin.install_hint;
    return base::Annotate(
        absl::Status(answer.status().code(),
                     base::StrCat(base::FromAbsl(answer.status().message()),
                                  hint.empty() ? "" : "\n", hint)),
        title);
  }
  const auto said = base::ParseJson(*answer);
  pki::Wipe(&*answer);
  if (!said.ok()) {
    return absl::UnauthenticatedError(title + ": it printed no JSON");
  }
  const Json& status = base::GetMember(*said, "status");
  access->token = base::GetString(status, "token", access->token);
  access->certificate =
      base::GetString(status, "clientCertificateData", access->certificate);
  access->key = base::GetString(status, "clientKeyData", access->key);
  if (access->token.empty() && access->certificate.empty()) {
    return absl::UnauthenticatedError(
        title + ": it printed neither a token nor a certificate");
  }
  return base::OkStatus();
}

}  // namespace nodeward::kube
