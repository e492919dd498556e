// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "agent/settings.h"
#include "base/text.h"
#include "base/yaml.h"
#include "kube/in_cluster.h"

namespace nodeward::agent {
namespace {

using base::Json;
using base::StrCat;

// A configuration is written by hand; a larger file is not one.
constexpr uintmax_t kMaxFileBytes = 1 << 20;

// True when `prefix` is a mapping of settings: "ca" of "ca.embedded".
bool IsSection(std::string_view prefix) {
  for (const Setting& setting : Settings()) {
    if (setting.key.size() > prefix.size() && setting.key.starts_with(prefix) &&
        setting.key[prefix.size()] == '.') {
      return true;
    }
  }
  return false;
}

// --- the nearest known key -------------------------------------------------

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = std::tolower(static_cast<unsigned char>(a[i - 1])) ==
                        std::tolower(static_cast<unsigned char>(b[j - 1]));
      const size_t replaced = diagonal + (same ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string UnknownKey(std::string_view key) {
  // A key far too long is not a slip of the finger, and comparing it costs.
  constexpr size_t kLongest = 64;
  std::string_view nearest;
  size_t best = SIZE_MAX;
  const auto consider = [&](std::string_view candidate, std::string_view as) {
    const size_t distance = EditDistance(key, as);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  };
  for (const Setting& setting : Settings()) {
    if (key.size() > kLongest) break;
    consider(setting.key, setting.key);
    // "embedded" where "ca.embedded" is meant, "cluster.embedded" too.
    const size_t dot = setting.key.find('.');
    if (dot == std::string_view::npos) continue;
    consider(setting.key, setting.key.substr(dot + 1));
    consider(setting.key.substr(0, dot), setting.key.substr(0, dot));
  }
  std::string text = StrCat("unknown key '", key, "'");
  if (best <= std::max<size_t>(2, key.size() / 3)) {
    return StrCat(text, ": did you mean '", nearest, "'?");
  }
  return StrCat(text, ": see nodeward agent --help for all keys");
}

// --- the file --------------------------------------------------------------

std::string_view Found(const Json& value) {
  if (value.is_null()) return "nothing";
  if (value.is_boolean()) return "a truth value";
  if (value.is_number_integer()) return "a whole number";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "text";
  return value.is_array() ? "a list" : "a mapping";
}

// A value and where it was given: "config.yaml:3: node", "--node".
struct Given {
  std::string value;
  std::string where;
};

// Collects what file and flags say and every mistake in them.
class Reader {
 public:
  void ReadFile(const std::string& file);
  void ReadFlags(const FlagValues& flags);
  base::StatusOr<Config> Finish();

 private:
  void ReadDocument(const base::YamlDocument& document);
  void ReadMapping(const Json& mapping, const std::string& pointer,
                   const std::string& prefix);
  void ReadSetting(const Setting& setting, const Json& value,
                   const std::string& pointer);
  void ReadElement(const Setting& setting, const Json& value,
                   const std::string& pointer, const std::string& name);
  std::string Where(const std::string& pointer) const;
  void Mistake(std::string_view where, std::string_view what) {
    mistakes_.push_back(StrCat(where, ": ", what));
  }
  void CheckTogether(const Config& config);

  std::string file_;
  const base::YamlDocument* document_ = nullptr;
  std::map<std::string_view, std::vector<Given>> given_;
  std::vector<std::string> mistakes_;
};

std::string Reader::Where(const std::string& pointer) const {
  return StrCat(file_, ":", document_->LineOf(pointer));
}

base::StatusOr<std::string> ReadText(const std::string& file) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (error) return absl::NotFoundError(error.message());
  if (std::filesystem::is_directory(status)) {
    return absl::InvalidArgumentError("is a folder; name the file");
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return absl::PermissionDeniedError("cannot be opened");
  std::string text(kMaxFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > kMaxFileBytes) {
    return absl::InvalidArgumentError("larger than 1 MiB; not a configuration");
  }
  return text;
}

void Reader::ReadFile(const std::string& file) {
  if (file.empty()) return;
  file_ = file;
  auto text = ReadText(file);
  if (!text.ok()) {
    Mistake(StrCat("read configuration ", file),
            base::FromAbsl(text.status().message()));
    return;
  }
  auto documents = base::ParseYaml(*text);
  if (!documents.ok()) {
    Mistake(file, base::FromAbsl(documents.status().message()));
    return;
  }
  if (documents->size() > 1) {
    Mistake(StrCat(file, ":", (*documents)[1].line),
            "a second YAML document: a configuration is one; remove the '---'");
    return;
  }
  if (!documents->empty()) ReadDocument(documents->front());
}

void Reader::ReadDocument(const base::YamlDocument& document) {
  document_ = &document;
  if (!document.value.is_object()) {
    Mistake(StrCat(file_, ":", document.line),
            StrCat("expected a mapping of keys such as 'node: node-a', found ",
                   Found(document.value)));
  } else {
    ReadMapping(document.value, "", "");
  }
  document_ = nullptr;
}

// RFC 6901.
std::string Escaped(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

void Reader::ReadMapping(const Json& mapping, const std::string& pointer,
                         const std::string& prefix) {
  for (const auto& [name, value] : mapping.items()) {
    const std::string key = StrCat(prefix, name);
    const std::string here = StrCat(pointer, "/", Escaped(name));
    if (const Setting* setting = FindSetting(key)) {
      ReadSetting(*setting, value, here);
    } else if (!IsSection(key)) {
      Mistake(Where(here), UnknownKey(key));
    } else if (!value.is_object()) {
      Mistake(Where(here),
              StrCat(key, ": expected a mapping, found ", Found(value)));
    } else {
      ReadMapping(value, here, StrCat(key, "."));
    }
  }
}

void Reader::ReadSetting(const Setting& setting, const Json& value,
                         const std::string& pointer) {
  if (setting.type != SettingType::kTextList) {
    ReadElement(setting, value, pointer, std::string(setting.key));
    return;
  }
  if (!value.is_array()) {
    Mistake(Where(pointer),
            StrCat(setting.key, ": expected a list, found ", Found(value)));
    return;
  }
  given_[setting.key];  // an empty list is a value, too
  for (size_t i = 0; i < value.size(); ++i) {
    ReadElement(setting, value[i], StrCat(pointer, "/", i),
                StrCat(setting.key, "[", i, "]"));
  }
}

void Reader::ReadElement(const Setting& setting, const Json& value,
                         const std::string& pointer, const std::string& name) {
  const bool integer = setting.type == SettingType::kInteger;
  if (setting.type == SettingType::kSwitch) {
    if (!value.is_boolean()) {
      return Mistake(Where(pointer), StrCat(name,
                                            ": expected true or false, "
                                            "found ",
                                            Found(value)));
    }
    given_[setting.key].push_back(
        {value.dump(), StrCat(Where(pointer), ": ", name)});
    return;
  }
  if (integer ? !value.is_number_integer() : !value.is_string()) {
    std::string_view expected = "text";
    if (integer) expected = "a whole number";
    if (setting.type == SettingType::kDuration) {
      expected = "a duration such as 3s";
    }
    const bool quote = !integer && (value.is_number() || value.is_boolean());
    Mistake(Where(pointer),
            StrCat(name, ": expected ", expected, ", found ", Found(value),
                   quote ? "; put it in quotes if it is meant so" : ""));
    return;
  }
  given_[setting.key].push_back(
      {integer ? value.dump() : value.get<std::string>(),
       StrCat(Where(pointer), ": ", name)});
}

// --- flags, defaults, the whole --------------------------------------------

std::vector<std::string> Split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    std::string_view part = list.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return parts;
}

std::vector<Given> FromText(const Setting& setting, const std::string& text,
                            const std::string& where) {
  if (setting.type != SettingType::kTextList) return {{text, where}};
  std::vector<Given> all;
  for (std::string& part : Split(text)) all.push_back({std::move(part), where});
  return all;
}

void Reader::ReadFlags(const FlagValues& flags) {
  for (const auto& [key, text] : flags) {
    const Setting* setting = FindSetting(key);
    if (setting == nullptr) {
      Mistake(FlagOf(key), "unknown flag");
      continue;
    }
    given_[setting->key] = FromText(*setting, text, FlagOf(key));
  }
}

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "";
  std::string text = name;
  // The kubelet registers a node under its host name in lower case.
  for (char& c : text) c = static_cast<char>(std::tolower(c));
  return text;
}

std::string Fallback(const Setting& setting) {
  if (setting.key == "node") return HostName();
  if (setting.key == "runDir") return DefaultRunDir();
  if (setting.key == "source.kubernetes.api")
    return kube::ServerOfEnvironment();
  return std::string(setting.fallback);
}

base::StatusOr<Config> Reader::Finish() {
  Config config;
  for (const Setting& setting : Settings()) {
    auto given = given_.find(setting.key);
    const std::vector<Given> values =
        given != given_.end() ? given->second
                              : FromText(setting, Fallback(setting),
                                         StrCat("default of ", setting.key));
    for (const Given& one : values) {
      const base::Status put = setting.put(config, one.value);
      if (!put.ok()) Mistake(one.where, base::FromAbsl(put.message()));
    }
  }
  if (mistakes_.empty()) CheckTogether(config);
  if (mistakes_.empty()) return config;
  std::string all;
  for (const std::string& mistake : mistakes_) {
    base::StrAppend(&all, all.empty() ? "" : "\n", mistake);
  }
  return absl::InvalidArgumentError(all);
}

void Reader::CheckTogether(const Config& config) {
  if (config.kubernetes && config.kubernetes_api.empty()) {
    Mistake("source.kubernetes.api",
            "is needed outside of a pod: use https://HOST:PORT");
  }
  if (!config.cni_conf_dir.empty() && !config.kubernetes) {
    Mistake("cni.confDir",
            "a CNI plugin is for Kubernetes: use source.kind kubernetes");
  }
  if (config.metrics_port != 0 &&
      config.metrics_port == config.readiness_port) {
    Mistake("readinessPort",
            StrCat(config.readiness_port, " is metricsPort, too: use another"));
  }
  if (!config.ca_address.empty() &&
      (config.ca_roots.empty() || config.ca_token.empty())) {
    Mistake("ca.address",
            "needs ca.roots (what the CA's certificate leads to) and ca.token");
  }
  for (const auto& [domain, path] : config.federation) {
    if (domain == config.trust_domain ||
        std::find(config.trust_domain_aliases.begin(),
                  config.trust_domain_aliases.end(),
                  domain) != config.trust_domain_aliases.end()) {
      Mistake("trust.federation",
              StrCat("'", domain,
                     "' is our own trust domain, whose roots are "
                     "trust.bundle's"));
    }
  }
  // unix(7): the path must fit with its terminating zero.
  constexpr size_t kRoom = sizeof(sockaddr_un::sun_path) - 1;
  const size_t needed = config.run_dir.size() + sizeof("/control.sock") - 1;
  if (needed > kRoom) {
    Mistake("runDir", StrCat("'", config.run_dir, "' is ", needed - kRoom,
                             " bytes too long for a socket in it"));
  }
}

}  // namespace

base::StatusOr<Config> LoadConfig(const std::string& file,
                                  const FlagValues& flags) {
  Reader reader;
  reader.ReadFile(file);
  reader.ReadFlags(flags);
  return reader.Finish();
}

std::string DefaultRunDir() {
  const char* const named = std::getenv("NODEWARD_RUN_DIR");
  if (named != nullptr && *named != '\0') return named;
  return std::string(FindSetting("runDir")->fallback);
}

}  // namespace nodeward::agent
