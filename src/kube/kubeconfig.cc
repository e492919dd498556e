// SPDX-License-Identifier: Apache-2.0
#include "kube/kubeconfig.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "base/json.h"
#include "base/text.h"
#include "base/yaml.h"
#include "pki/file.h"
#include "pki/key.h"

namespace nodeward::kube {
namespace {

using base::GetMember;
using base::GetString;
using base::Json;

// The file, and where it lies: what it names is relative to it.
class Kubeconfig {
 public:
  Kubeconfig(Json value, std::string path)
      : value_(std::move(value)), path_(std::move(path)) {}

  base::StatusOr<ClusterAccess> AccessOf(std::string context) const;

 private:
  base::Status Wrong(std::string_view what) const {
    return absl::InvalidArgumentError(
        base::StrCat("kubeconfig ", path_, ": ", what));
  }
  base::StatusOr<const Json*> Find(const char* list, const char* member,
                                   const std::string& name) const;
  // What is in the file itself as `key`-data, or in the file named by `key`.
  base::StatusOr<std::string> ReadData(const Json& holder,
                                       const std::string& key) const;
  base::StatusOr<std::string> ReadNamed(const std::string& name) const;
  base::Status ReadCluster(const Json& cluster, ClusterAccess* access) const;
  base::Status ReadUser(const Json& user, ClusterAccess* access) const;
  CredentialPlugin ReadPlugin(const Json& exec) const;
  std::string Beside(const std::string& name) const {
    return name.starts_with('/') ? name
                                 : path_.substr(0, path_.rfind('/') + 1) + name;
  }

  const Json value_;
  const std::string path_;
};

base::StatusOr<const Json*> Kubeconfig::Find(const char* list,
                                             const char* member,
                                             const std::string& name) const {
  for (const Json& each : GetMember(value_, list)) {
    if (GetString(each, "name") == name) return &GetMember(each, member);
  }
  return Wrong(base::StrCat("there is no ", member, " '", name, "'"));
}

base::StatusOr<std::string> Kubeconfig::ReadNamed(
    const std::string& name) const {
  auto file = pki::ReadFile(Beside(name));
  if (!file.ok()) return Wrong(base::FromAbsl(file.status().message()));
  return std::move(file->text);
}

base::StatusOr<std::string> Kubeconfig::ReadData(const Json& holder,
                                                 const std::string& key) const {
  const std::string data = GetString(holder, key + "-data");
  if (!data.empty()) {
    std::string text;
    if (absl::Base64Unescape(data, &text)) return text;
    return Wrong(key + "-data is not base64");
  }
  const std::string name = GetString(holder, key);
  return name.empty() ? std::string() : ReadNamed(name);
}

base::Status Kubeconfig::ReadCluster(const Json& cluster,
                                     ClusterAccess* access) const {
  access->server = GetString(cluster, "server");
  while (access->server.ends_with('/')) access->server.pop_back();
  if (!access->server.starts_with("https://")) {
    return Wrong("the cluster's server must be an https:// URL");
  }
  access->server_name = GetString(cluster, "tls-server-name");
  access->insecure = base::GetBool(cluster, "insecure-skip-tls-verify");
  access->proxy = GetString(cluster, "proxy-url");
  NODEWARD_ASSIGN(access->roots, ReadData(cluster, "certificate-authority"));
  return base::OkStatus();
}

CredentialPlugin Kubeconfig::ReadPlugin(const Json& exec) const {
  CredentialPlugin plugin;
  plugin.command = GetString(exec, "command");
  if (plugin.command.find('/') != std::string::npos) {
    plugin.command = Beside(plugin.command);
  }
  plugin.version = GetString(exec, "apiVersion");
  plugin.install_hint = GetString(exec, "installHint");
  plugin.wants_cluster = base::GetBool(exec, "provideClusterInfo");
  for (const Json& word : GetMember(exec, "args")) {
    if (const auto* text = word.get_ptr<const std::string*>()) {
      plugin.arguments.push_back(*text);
    }
  }
  for (const Json& each : GetMember(exec, "env")) {
    plugin.environment[GetString(each, "name")] = GetString(each, "value");
  }
  return plugin;
}

base::Status Kubeconfig::ReadUser(const Json& user,
                                  ClusterAccess* access) const {
  // To leave one out would be to act as somebody else.
  for (const char* key : {"as", "as-groups", "as-uid", "as-user-extra",
                          "auth-provider", "username"}) {
    if (!GetMember(user, key).is_null()) {
      return Wrong(base::StrCat("the user's '", key, "' is not supported; use ",
                                "a token, a client certificate or an exec "
                                "plugin"));
    }
  }
  NODEWARD_ASSIGN(access->certificate, ReadData(user, "client-certificate"));
  NODEWARD_ASSIGN(access->key, ReadData(user, "client-key"));
  access->token = GetString(user, "token");
  const std::string file = GetString(user, "tokenFile");
  if (!file.empty()) {
    NODEWARD_ASSIGN(access->token, ReadNamed(file));
  }
  while (!access->token.empty() &&
         std::string_view(" \t\r\n").find(access->token.back()) !=
             std::string_view::npos) {
    access->token.pop_back();
  }
  const Json& exec = GetMember(user, "exec");
  if (exec.is_object()) access->plugin = ReadPlugin(exec);
  return base::OkStatus();
}

base::StatusOr<ClusterAccess> Kubeconfig::AccessOf(std::string context) const {
  if (context.empty()) context = GetString(value_, "current-context");
  if (context.empty()) {
    return Wrong("it has no current-context; name one with --context");
  }
  NODEWARD_ASSIGN(const Json* chosen, Find("contexts", "context", context));
  NODEWARD_ASSIGN(const Json* cluster,
                  Find("clusters", "cluster", GetString(*chosen, "cluster")));
  ClusterAccess access;
  NODEWARD_TRY(ReadCluster(*cluster, &access));
  const std::string name = GetString(*chosen, "user");
  if (!name.empty()) {
    NODEWARD_ASSIGN(const Json* user, Find("users", "user", name));
    NODEWARD_TRY(ReadUser(*user, &access));
  }
  return access;
}

}  // namespace

ClusterAccess::~ClusterAccess() {
  pki::Wipe(&token);
  pki::Wipe(&key);
}

base::StatusOr<ClusterAccess> ReadKubeconfig(const std::string& path,
                                             const std::string& context) {
  auto file = pki::ReadFile(path);
  if (!file.ok()) {
    return base::Annotate(file.status(), "read the kubeconfig");
  }
  auto documents = base::ParseYaml(file->text);
  pki::Wipe(&file->text);
  if (!documents.ok()) {
    return base::Annotate(documents.status(), "kubeconfig " + path);
  }
  if (documents->size() != 1) {
    return absl::InvalidArgumentError(
        base::StrCat("kubeconfig ", path, ": must be one YAML document"));
  }
  return Kubeconfig(std::move(documents->front().value), path)
      .AccessOf(context);
}

}  // namespace nodeward::kube
