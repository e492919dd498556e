// SPDX-License-Identifier: Apache-2.0
#include "identity/client_files.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include "base/text.h"

namespace nodeward::identity {
namespace {

using model::ClientTls;
using model::DestinationRule;
using model::FileSet;
using model::Snapshot;
using model::Workload;
using Text = pki::ClientMaterial::Text;
using Texts = pki::ClientMaterial::Texts;

constexpr std::string_view kRefuses = "; connections by the rule are refused";
// It may well never connect there, so nothing is amiss.
constexpr std::string_view kMountsNothing =
    "mounts no files (annotations sidecar.istio.io/userVolume and "
    "userVolumeMount); its connections by the rule are refused, should it make "
    "any";
constexpr std::string_view kKeeps = "; what was read before stays in use";

// The texts of one rule's part for one client, and what to say of them.
struct Input {
  Texts texts;
  std::string note;
};

// ---- paths in the pod's volumes ----

class VolumeReader {
 public:
  VolumeReader(const Snapshot& snapshot, const Workload& client)
      : snapshot_(snapshot), client_(client) {}

  base::StatusOr<Text> Find(const std::string& path) const {
    NODEWARD_ASSIGN(const std::string* content,
                    FindFile(client_, snapshot_.file_sets, path));
    return Text{path, *content};
  }
  base::StatusOr<std::optional<Text>> FindIfNamed(
      const std::string& path) const {
    if (path.empty()) return std::optional<Text>();
    NODEWARD_ASSIGN(Text text, Find(path));
    return std::optional<Text>(std::move(text));
  }
  // Certificate and key. One file may hold both: then the other need not be
  // there, as people give a server's combined PEM a name of its own.
  base::Status FindPair(const ClientTls& tls, Input* input) const {
    auto certificate = Find(tls.client_certificate);
    auto key = Find(tls.private_key);
    if (absl::IsNotFound(key.status()) && certificate.ok() &&
        certificate->pem.find("PRIVATE KEY-----") != std::string_view::npos) {
      input->note = base::StrCat(key.status().message(), "; the key in ",
                                 certificate->name, " is used");
      key = *certificate;
    } else if (absl::IsNotFound(certificate.status()) && key.ok() &&
               key->pem.find("BEGIN CERTIFICATE-----") !=
                   std::string_view::npos) {
      input->note =
          base::StrCat(certificate.status().message(), "; the certificate in ",
                       key->name, " is used");
      certificate = *key;
    }
    if (!certificate.ok()) return certificate.status();
    if (!key.ok()) return key.status();
    input->texts.certificate = *certificate;
    input->texts.key = *key;
    return base::OkStatus();
  }

 private:
  const Snapshot& snapshot_;
  const Workload& client_;
};

base::StatusOr<Input> ReadVolumes(const Snapshot& snapshot,
                                  const Workload& client,
                                  const ClientTls& tls) {
  const VolumeReader reader(snapshot, client);
  Input input;
  if (tls.mode == ClientTls::Mode::kMutual) {
    NODEWARD_TRY(reader.FindPair(tls, &input));
  }
  NODEWARD_ASSIGN(input.texts.roots, reader.FindIfNamed(tls.ca_certificates));
  NODEWARD_ASSIGN(input.texts.revocations, reader.FindIfNamed(tls.ca_crl));
  return input;
}

// ---- credentialName ----

std::string Title(const FileSet& set) {
  return base::StrCat(set.kind, " ", set.name_space, "/", set.name);
}

const FileSet* FindSet(const Snapshot& snapshot, const model::FileSetKey& key) {
  const auto found = snapshot.file_sets.find(key);
  return found == snapshot.file_sets.end() ? nullptr : found->second.get();
}

// The first of `keys` that is there.
std::optional<Text> FindKey(const FileSet* set,
                            std::initializer_list<const char*> keys) {
  if (set == nullptr) return std::nullopt;
  for (const char* key : keys) {
    const auto found = set->files.find(key);
    if (found == set->files.end()) continue;
    return Text{base::StrCat(Title(*set), " ", key), found->second};
  }
  return std::nullopt;
}

// Kind and name.
std::pair<std::string, std::string> SplitCredential(const ClientTls& tls) {
  std::string name = tls.credential_name;
  std::string kind = "Secret";
  for (const auto& [scheme, means] :
       {std::pair<std::string, std::string>{"configmap://", "ConfigMap"},
        {"kubernetes://", "Secret"}}) {
    if (!name.starts_with(scheme)) continue;
    name.erase(0, scheme.size());
    kind = means;
  }
  return {kind, name};
}

base::StatusOr<Input> ReadCredential(const Snapshot& snapshot,
                                     const Workload& client,
                                     const ClientTls& tls) {
  const auto [kind, name] = SplitCredential(tls);
  if (name.find('/') != std::string::npos) {
    return absl::InvalidArgumentError(
        base::StrCat("credentialName ", tls.credential_name,
                     ": only what lies in the pod's own namespace is read"));
  }
  const FileSet* const set = FindSet(snapshot, {kind, client.name_space, name});
  const FileSet* const roots =
      FindSet(snapshot, {kind, client.name_space, name + "-cacert"});
  const std::string title =
      base::StrCat(kind, " ", client.name_space, "/", name);
  if (set == nullptr && roots == nullptr) {
    return absl::NotFoundError(base::StrCat(
        "credentialName ", tls.credential_name, ": there is no ", title));
  }
  Input input;
  if (tls.mode == ClientTls::Mode::kMutual) {
    input.texts.certificate = FindKey(set, {"cert", "tls.crt"});
    input.texts.key = FindKey(set, {"key", "tls.key"});
    if (!input.texts.certificate.has_value() || !input.texts.key.has_value()) {
      return absl::InvalidArgumentError(
          base::StrCat(title, " lacks tls.crt and tls.key (or cert and key)"));
    }
  }
  input.texts.roots = FindKey(set, {"cacert", "ca.crt"});
  if (!input.texts.roots.has_value()) {
    input.texts.roots = FindKey(roots, {"cacert", "ca.crt"});
  }
  if (!input.texts.roots.has_value() && !tls.insecure_skip_verify) {
    return absl::InvalidArgumentError(base::StrCat(
        title, " has no ca.crt (or cacert), nor has ", name, "-cacert"));
  }
  input.texts.revocations = FindKey(set, {"crl", "ca.crl"});
  if (!input.texts.revocations.has_value()) {
    input.texts.revocations = FindKey(roots, {"crl", "ca.crl"});
  }
  return input;
}

// ---- where it is looked for ----

void WantVolumes(const Workload& client, const ClientTls& tls,
                 std::set<model::FileSetKey>* wanted) {
  std::vector<const std::string*> paths = {&tls.ca_certificates, &tls.ca_crl};
  if (tls.mode == ClientTls::Mode::kMutual) {
    paths.push_back(&tls.client_certificate);
    paths.push_back(&tls.private_key);
  }
  for (const std::string* path : paths) {
    const model::ProxyMount* deepest = nullptr;
    for (const model::ProxyMount& mount : client.proxy_mounts) {
      if (path->starts_with(mount.path + "/") &&
          (deepest == nullptr || mount.path.size() > deepest->path.size())) {
        deepest = &mount;
      }
    }
    if (deepest != nullptr && deepest->flaw.empty()) {
      wanted->insert({deepest->kind, client.name_space, deepest->source});
    }
  }
}

void WantCredential(const Snapshot& snapshot, const Workload& client,
                    const ClientTls& tls, std::set<model::FileSetKey>* wanted) {
  const auto [kind, name] = SplitCredential(tls);
  if (name.find('/') != std::string::npos) return;
  wanted->insert({kind, client.name_space, name});
  // Roots by themselves: only where the other has none.
  const FileSet* const set = FindSet(snapshot, {kind, client.name_space, name});
  const bool apart = set == nullptr
                         ? tls.mode != ClientTls::Mode::kMutual
                         : !FindKey(set, {"cacert", "ca.crt"}).has_value();
  if (apart) wanted->insert({kind, client.name_space, name + "-cacert"});
}

// ---- rules ----

pki::Digest DigestOf(const Texts& texts) {
  std::string all;
  for (const auto* text :
       {&texts.certificate, &texts.key, &texts.roots, &texts.revocations}) {
    base::StrAppend(&all, text->has_value() ? (*text)->pem.size() + 1 : 0, ":");
    if (text->has_value()) all += (*text)->pem;
  }
  const pki::Digest digest = pki::Sha256(all);
  pki::Wipe(&all);
  return digest;
}

bool Concerns(const DestinationRule& rule, const Workload& client) {
  return rule.VisibleIn(client.name_space) &&
         (rule.selector.empty() ||
          (rule.name_space == client.name_space &&
           model::Selects(rule.selector, client.labels)));
}

// The parts of `rule` that need material.
std::vector<const ClientTls*> Originating(const DestinationRule& rule) {
  std::vector<const ClientTls*> parts;
  if (rule.tls.has_value() && rule.tls->originates()) {
    parts.push_back(&*rule.tls);
  }
  for (const auto& [port, tls] : rule.port_tls) {
    if (tls.has_value() && tls->originates()) parts.push_back(&*tls);
  }
  return parts;
}

}  // namespace

const ClientFiles::Kept& ClientFiles::Load(const Snapshot& snapshot,
                                           const Workload& client,
                                           const ClientTls& tls,
                                           Loaded* loaded) {
  const std::string key = pki::ClientMaterials::KeyOf(client, tls);
  const auto [place, fresh] = loaded->try_emplace(key);
  Kept& kept = place->second;
  if (!fresh) return kept;
  const auto last = loaded_.find(key);
  if (last != loaded_.end()) kept = last->second;
  if (tls.credential_name.empty()) {
    WantVolumes(client, tls, &wanted_);
  } else {
    WantCredential(snapshot, client, tls, &wanted_);
  }
  const auto input = tls.credential_name.empty()
                         ? ReadVolumes(snapshot, client, tls)
                         : ReadCredential(snapshot, client, tls);
  base::Status status = input.status();
  if (status.ok()) {
    const pki::Digest digest = DigestOf(input->texts);
    if (kept.digest == digest && kept.entry.error.empty()) {
      kept.problem = input->note;
      return kept;
    }
    auto made = pki::ClientMaterial::Create(input->texts);
    status = made.status();
    if (status.ok()) {
      kept = {digest, {*std::move(made), ""}, input->note};
      return kept;
    }
  }
  kept.entry.error = std::string(status.message());
  if (kept.entry.material == nullptr && tls.credential_name.empty() &&
      client.proxy_mounts->empty()) {
    kept.problem = std::string(kMountsNothing);
    return kept;
  }
  kept.problem = base::StrCat(
      kept.entry.error, kept.entry.material == nullptr ? kRefuses : kKeeps);
  return kept;
}

std::shared_ptr<const pki::ClientMaterials> ClientFiles::Read(
    const Snapshot& snapshot, const std::string& node) {
  auto materials = std::make_shared<pki::ClientMaterials>();
  Loaded loaded;
  Told told;
  wanted_.clear();
  for (const auto& rule : snapshot.destination_rules) {
    const auto parts = Originating(*rule);
    if (parts.empty()) continue;
    for (const auto& client : snapshot.workloads) {
      if (client->node != node || !client->in_mesh() ||
          !Concerns(*rule, *client)) {
        continue;
      }
      for (const ClientTls* part : parts) {
        const Kept& kept = Load(snapshot, *client, *part, &loaded);
        if (kept.problem.empty()) continue;
        auto& pods = told[{rule.get(), kept.problem}];
        if (pods.empty() || pods.back() != client->QualifiedName()) {
          pods.push_back(client->QualifiedName());
        }
      }
    }
  }
  for (const auto& [key, kept] : loaded) {
    materials->entries.emplace(key, kept.entry);
  }
  loaded_ = std::move(loaded);
  TellProblems(told);
  return materials;
}

void ClientFiles::TellProblems(const Told& told) {
  problems_.clear();
  for (const auto& [key, pods] : told) {
    const auto& [rule, reason] = key;
    problems_.push_back(
        {rule->file, rule->line,
         base::StrCat("DestinationRule ", rule->QualifiedName()),
         base::StrCat("pod ", pods.front(),
                      pods.size() > 1
                          ? base::StrCat(" and ", pods.size() - 1, " more")
                          : "",
                      ": ", reason),
         reason.ends_with(kRefuses)});
  }
  std::stable_sort(problems_.begin(), problems_.end(),
                   [](const model::Problem& a, const model::Problem& b) {
                     return std::tie(a.file, a.line, a.reason) <
                            std::tie(b.file, b.line, b.reason);
                   });
}

}  // namespace nodeward::identity
