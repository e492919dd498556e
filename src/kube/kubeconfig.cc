// SPDX-License-Identifier: Apache-2.0
#include "kube/kubeconfig.h"

#include <algorithm>
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

base::Status WrongIn(std::string_view paths, std::string_view what) {
  return absl::InvalidArgumentError(
      base::StrCat("kubeconfig ", paths, ": ", what));
}

// One file, and where it lies: what it names is relative to it.
class Kubeconfig {
 public:
  // NotFound: there is none.
  static base::StatusOr<Kubeconfig> Read(const std::string& path);

  // `member` of the item of `list` that has this name; null: there is none.
  const Json* Find(const char* list, const char* member,
                   const std::string& name) const;
  std::string CurrentContext() const {
    return GetString(value_, "current-context");
  }
  base::Status ReadCluster(const Json& cluster, ClusterAccess* access) const;
  base::Status ReadUser(const Json& user, ClusterAccess* access) const;
  const std::string& path() const { return path_; }

 private:
  Kubeconfig(Json value, std::string path)
      : value_(std::move(value)), path_(std::move(path)) {}
  base::Status Wrong(std::string_view what) const {
    return WrongIn(path_, what);
  }
  // What is in the file itself as `key`-data, or in the file named by `key`.
  base::StatusOr<std::string> ReadData(const Json& holder,
                                       const std::string& key) const;
  base::StatusOr<std::string> ReadNamed(const std::string& name) const;
  CredentialPlugin ReadPlugin(const Json& exec) const;
  std::string Beside(const std::string& name) const {
    return name.starts_with('/') ? name
                                 : path_.substr(0, path_.rfind('/') + 1) + name;
  }

  Json value_;
  std::string path_;
};

base::StatusOr<Kubeconfig> Kubeconfig::Read(const std::string& path) {
  auto file = pki::ReadFile(path);
  if (!file.ok()) {
    return base::Annotate(file.status(), "read the kubeconfig");
  }
  auto documents = base::ParseYaml(file->text);
  pki::Wipe(&file->text);
  if (!documents.ok()) {
    return base::Annotate(documents.status(), "kubeconfig " + path);
  }
  // An empty file is one that says nothing.
  if (documents->empty()) return Kubeconfig(Json::object(), path);
  Json& value = documents->front().value;
  if (documents->size() != 1 || !value.is_object()) {
    return WrongIn(path, "must be one YAML mapping");
  }
  if (GetString(value, "kind", "Config") != "Config") {
    return WrongIn(path, "its kind must be Config");
  }
  for (const char* list : {"clusters", "contexts", "users"}) {
    const Json& items = GetMember(value, list);
    if (!items.is_null() && !items.is_array()) {
      return WrongIn(path, base::StrCat("its ", list, " must be a list"));
    }
  }
  return Kubeconfig(std::move(value), path);
}

const Json* Kubeconfig::Find(const char* list, const char* member,
                             const std::string& name) const {
  for (const Json& each : GetMember(value_, list)) {
    if (GetString(each, "name") == name) return &GetMember(each, member);
  }
  return nullptr;
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

// All the files, the one that counts first.
class Kubeconfigs {
 public:
  explicit Kubeconfigs(std::vector<Kubeconfig> files)
      : files_(std::move(files)) {}

  base::StatusOr<ClusterAccess> AccessOf(std::string context) const;

 private:
  // What one file says.
  struct Entry {
    const Kubeconfig* file;
    const Json* value;
  };
  base::StatusOr<Entry> Find(const char* list, const char* member,
                             const std::string& name) const;
  std::string CurrentContext() const;
  base::Status Wrong(std::string_view what) const;

  const std::vector<Kubeconfig> files_;
};

base::Status Kubeconfigs::Wrong(std::string_view what) const {
  std::string paths;
  for (const Kubeconfig& file : files_) {
    base::StrAppend(&paths, paths.empty() ? "" : ":", file.path());
  }
  return WrongIn(paths, what);
}

base::StatusOr<Kubeconfigs::Entry> Kubeconfigs::Find(
    const char* list, const char* member, const std::string& name) const {
  for (const Kubeconfig& file : files_) {
    const Json* const value = file.Find(list, member, name);
    if (value != nullptr) return Entry{&file, value};
  }
  return Wrong(base::StrCat("there is no ", member, " '", name, "'"));
}

std::string Kubeconfigs::CurrentContext() const {
  for (const Kubeconfig& file : files_) {
    std::string context = file.CurrentContext();
    if (!context.empty()) return context;
  }
  return "";
}

base::StatusOr<ClusterAccess> Kubeconfigs::AccessOf(std::string context) const {
  if (context.empty()) context = CurrentContext();
  if (context.empty()) {
    return Wrong("it has no current-context; name one with --context");
  }
  NODEWARD_ASSIGN(const Entry chosen, Find("contexts", "context", context));
  NODEWARD_ASSIGN(
      const Entry cluster,
      Find("clusters", "cluster", GetString(*chosen.value, "cluster")));
  ClusterAccess access;
  NODEWARD_TRY(cluster.file->ReadCluster(*cluster.value, &access));
  const std::string name = GetString(*chosen.value, "user");
  if (!name.empty()) {
    NODEWARD_ASSIGN(const Entry user, Find("users", "user", name));
    NODEWARD_TRY(user.file->ReadUser(*user.value, &access));
  }
  return access;
}

}  // namespace

ClusterAccess::~ClusterAccess() {
  pki::Wipe(&token);
  pki::Wipe(&key);
}

std::vector<std::string> DefaultKubeconfigs(std::string_view listed,
                                            const std::string& home) {
  if (listed.empty()) return {home + "/.kube/config"};
  std::vector<std::string> paths;
  while (true) {
    const size_t end = std::min(listed.find(':'), listed.size());
    if (end > 0) paths.emplace_back(listed.substr(0, end));
    if (end == listed.size()) return paths;
    listed.remove_prefix(end + 1);
  }
}

base::StatusOr<ClusterAccess> ReadKubeconfig(
    const std::vector<std::string>& paths, const std::string& context) {
  std::vector<Kubeconfig> files;
  base::Status missing =
      absl::NotFoundError("read the kubeconfig: no file is named");
  for (const std::string& path : paths) {
    auto file = Kubeconfig::Read(path);
    if (file.ok()) {
      files.push_back(*std::move(file));
    } else if (!absl::IsNotFound(file.status())) {
      return file.status();
    } else {
      missing = file.status();
    }
  }
  if (files.empty()) return missing;
  return Kubeconfigs(std::move(files)).AccessOf(context);
}

}  // namespace nodeward::kube
