// SPDX-License-Identifier: Apache-2.0
#include "discovery/file_set.h"

#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/json.h"
#include "base/text.h"

namespace nodeward::discovery {
namespace {

using model::FileSet;
using model::ProxyMount;

constexpr const char* kVolumes = "sidecar.istio.io/userVolume";
constexpr const char* kMounts = "sidecar.istio.io/userVolumeMount";

void ReadEncoded(const Field& data, FileSet* set) {
  for (const auto& [key, member] : data.Lenient().Members()) {
    if (!member.is_text()) {
      member.Flaw("must be a string");
    } else if (!absl::Base64Unescape(member.Text(), &set->files[key])) {
      member.Flaw("is not base64");
      set->files.erase(key);
    }
  }
}

void ReadPlain(const Field& data, FileSet* set) {
  for (const auto& [key, member] : data.Lenient().Members()) {
    if (member.is_text()) {
      set->files[key] = member.Text();
    } else {
      member.Flaw("must be a string");
    }
  }
}

// What the annotation says, as JSON: a list of objects, or, as Istio takes it
// too, an object whose members are the entries by name.
base::Json ReadAnnotation(const Field& annotation) {
  auto parsed = base::ParseJson(annotation.Text());
  if (!parsed.ok()) {
    annotation.Flaw(base::StrCat("is not JSON: ",
                                 base::FromAbsl(parsed.status().message())));
    return base::Json::array();
  }
  if (parsed->is_array()) return *std::move(parsed);
  base::Json list = base::Json::array();
  if (!parsed->is_object()) {
    annotation.Flaw("must be a JSON list");
    return list;
  }
  for (auto& [name, entry] : parsed->items()) {
    if (entry.is_object()) entry["name"] = name;
    list.push_back(entry);
  }
  return list;
}

// Findings inside the annotation's text have no line of their own.
void Relay(const Findings& inner, const Field& annotation) {
  for (const Finding& finding : inner) {
    annotation.Flaw(
        base::StrCat("in it, ", finding.pointer, ": ", finding.reason));
  }
}

void ReadItems(const Field& list, ProxyMount* mount) {
  for (const Field& item : list.Items()) {
    mount->items[item["key"].Text()] = item["path"].Text();
  }
}

// Where the content of a volume comes from: a mount without path.
ProxyMount ReadVolume(const Field& entry) {
  ProxyMount volume;
  volume.volume = entry["name"].Text();
  for (const auto& [key, source] : entry.Members()) {
    if (key == "name") continue;
    if (key == "configMap") {
      volume.kind = "ConfigMap";
      volume.source = source["name"].Text();
    } else if (key == "secret") {
      volume.kind = "Secret";
      volume.source = source["secretName"].Text();
    } else {
      volume.flaw = base::StrCat(
          "volume ", volume.volume, " is of kind ", key,
          "; only configMap and secret volumes of the pod's own namespace are "
          "read");
      continue;
    }
    ReadItems(source["items"], &volume);
  }
  if (volume.flaw.empty() && volume.source.empty()) {
    volume.flaw = base::StrCat("volume ", volume.volume,
                               " names neither a configMap nor a secret");
  }
  return volume;
}

std::map<std::string, ProxyMount> ReadVolumes(const Field& annotation) {
  std::map<std::string, ProxyMount> volumes;
  const base::Json list = ReadAnnotation(annotation);
  Findings findings;
  for (const Field& entry : Field(list, "", &findings).Items()) {
    ProxyMount volume = ReadVolume(entry);
    volumes.try_emplace(volume.volume, volume);
  }
  Relay(findings, annotation);
  return volumes;
}

}  // namespace

std::shared_ptr<const FileSet> ReadFileSet(const Field& root,
                                           const Metadata& metadata,
                                           const std::string& kind) {
  auto set = std::make_shared<FileSet>();
  set->kind = kind;
  set->name_space = metadata.name_space;
  set->name = metadata.name;
  if (kind == "Secret") {
    ReadEncoded(root["data"], set.get());
    ReadPlain(root["stringData"], set.get());
  } else {
    ReadPlain(root["data"], set.get());
    ReadEncoded(root["binaryData"], set.get());
  }
  return set;
}

std::vector<ProxyMount> ReadProxyMounts(const Field& root,
                                        const Metadata& metadata) {
  std::vector<ProxyMount> mounts;
  if (!metadata.annotations.contains(kMounts)) return mounts;
  const Field annotations = root.Lenient()["metadata"]["annotations"];
  const auto volumes = metadata.annotations.contains(kVolumes)
                           ? ReadVolumes(annotations[kVolumes])
                           : std::map<std::string, ProxyMount>();
  const Field annotation = annotations[kMounts];
  const base::Json list = ReadAnnotation(annotation);
  Findings findings;
  for (const Field& entry : Field(list, "", &findings).Items()) {
    const std::string name = entry["name"].Text();
    const auto found = volumes.find(name);
    ProxyMount mount;
    if (found == volumes.end()) {
      mount.volume = name;
      mount.flaw = base::StrCat("annotation ", kVolumes, " has no volume ",
                                name.empty() ? "without a name" : name);
    } else {
      mount = found->second;
    }
    mount.path = entry["mountPath"].Text();
    while (mount.path.ends_with('/')) mount.path.pop_back();
    if (entry["subPath"].present() || entry["subPathExpr"].present()) {
      mount.flaw = base::StrCat("volume ", name,
                                " is mounted by subPath, which is not read");
    }
    if (!mount.flaw.empty()) annotation.Note(mount.flaw);
    mounts.push_back(std::move(mount));
  }
  Relay(findings, annotation);
  return mounts;
}

}  // namespace nodeward::discovery
