// SPDX-License-Identifier: Apache-2.0
#include "pki/issuer_files.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "pki/file.h"
#include "pki/signer.h"

namespace nodeward::pki {
namespace {

namespace fs = std::filesystem;

struct Layout {
  std::string certificate;
  std::string key;
  std::string chain;               // may be absent
  std::vector<std::string> roots;  // the first that is there
  bool roots_needed = false;       // the format promises them
};

const std::vector<Layout>& KnownLayouts() {
  static const auto* const kLayouts = new std::vector<Layout>{
      {"tls.crt", "tls.key", "", {"ca.crt"}, true},
      {"crt.pem", "key.pem", "", {"ca.crt", "ca-bundle.crt"}, false},
      {"ca-cert.pem", "ca-key.pem", "cert-chain.pem", {"root-cert.pem"}, true},
  };
  return *kLayouts;
}

struct Folder {
  std::string path;      // as the operator named it
  std::string base;      // where the files are read
  bool mounted = false;  // by Kubernetes
  std::set<std::string> names;

  bool Has(const std::string& name) const { return names.contains(name); }
  std::string At(const std::string& name) const {
    return base::StrCat(base, "/", name);
  }
};

base::StatusOr<Folder> OpenFolder(const std::string& path) {
  Folder folder{path, path, false, {}};
  std::error_code error;
  if (fs::exists(fs::path(path) / "..data", error)) {
    // One generation of the Secret, while its link may move on.
    folder.base = fs::canonical(fs::path(path) / "..data", error).string();
    folder.mounted = true;
    if (error) {
      return base::ErrnoStatus(error.value(),
                               base::StrCat("open issuer ", path));
    }
  }
  for (fs::directory_iterator it(folder.base, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with('.')) folder.names.insert(name);
  }
  if (error) {
    return base::ErrnoStatus(error.value(), base::StrCat("open issuer ", path));
  }
  return folder;
}

base::StatusOr<std::vector<Certificate>> ReadCertificates(
    const std::string& path) {
  NODEWARD_ASSIGN(const File file, ReadFile(path));
  base::StatusOr<std::vector<Certificate>> all =
      Certificate::ParsePemBundle(file.text);
  if (!all.ok()) return base::Annotate(all.status(), path);
  return all;
}

base::StatusOr<PrivateKey> ReadKey(const std::string& path, bool mounted,
                                   std::vector<std::string>* warnings) {
  NODEWARD_ASSIGN(File file, ReadFile(path));
  base::StatusOr<PrivateKey> key = PrivateKey::ParsePem(file.text);
  Wipe(&file.text);
  if (!key.ok()) return base::Annotate(key.status(), path);
  // A Secret's mode is 0644 unless the manifest says otherwise; there the
  // container is the border.
  if (file.others_may_read && !mounted) {
    warnings->push_back(base::StrCat(
        path, " can be read by others than its owner (chmod 600)"));
  }
  return key;
}

// ---- which pair ----

std::string PairText(const Layout& layout) {
  return base::StrCat(layout.certificate, " + ", layout.key);
}

// certstrap, step and openssl name a pair alike.
base::StatusOr<Layout> FindNamedPair(const Folder& folder) {
  struct Candidate {
    std::string name;
    bool self_signed;
  };
  std::vector<Candidate> candidates;
  for (const std::string& name : folder.names) {
    if (!name.ends_with(".crt")) continue;
    const std::string stem = name.substr(0, name.size() - 4);
    if (!folder.Has(stem + ".key")) continue;
    NODEWARD_ASSIGN(const std::vector<Certificate> all,
                    ReadCertificates(folder.At(name)));
    if (!MaySign(all.front())) continue;
    candidates.push_back({stem, IsSelfSigned(all.front())});
  }
  const auto below = std::count_if(
      candidates.begin(), candidates.end(),
      [](const Candidate& candidate) { return !candidate.self_signed; });
  if (below > 0) {
    std::erase_if(candidates, [](const Candidate& candidate) {
      return candidate.self_signed;
    });
  }
  if (candidates.empty()) {
    return absl::NotFoundError(base::StrCat(
        "open issuer ", folder.path,
        ": no pair in it (tls.crt + tls.key, crt.pem + key.pem, ca-cert.pem + "
        "ca-key.pem, NAME.crt + NAME.key of a CA, or one PEM with both)"));
  }
  if (candidates.size() > 1) {
    std::string names;
    for (const Candidate& candidate : candidates) {
      base::StrAppend(&names, names.empty() ? "" : ", ", candidate.name,
                      ".crt");
    }
    return absl::FailedPreconditionError(
        base::StrCat("open issuer ", folder.path, ": several pairs: ", names,
                     " (say which with --issuer-pair)"));
  }
  const std::string& name = candidates.front().name;
  return Layout{name + ".crt", name + ".key", "", {}, false};
}

std::string KeyFileOf(const std::string& certificate) {
  for (const Layout& layout : KnownLayouts()) {
    if (layout.certificate == certificate) return layout.key;
  }
  const size_t dot = certificate.rfind('.');
  return certificate.substr(0, dot) + ".key";
}

base::StatusOr<Layout> Choose(const Folder& folder, const std::string& pair,
                              std::vector<std::string>* warnings) {
  std::vector<Layout> there;
  for (const Layout& layout : KnownLayouts()) {
    const bool certificate = folder.Has(layout.certificate);
    const bool key = folder.Has(layout.key);
    if (certificate != key && (pair.empty() || pair == layout.certificate)) {
      return absl::FailedPreconditionError(
          base::StrCat("open issuer ", folder.path, ": ",
                       certificate ? layout.key : layout.certificate,
                       " needs to exist beside ",
                       certificate ? layout.certificate : layout.key));
    }
    if (certificate && key) there.push_back(layout);
  }
  if (!pair.empty()) {
    for (const Layout& layout : there) {
      if (layout.certificate == pair) return layout;
    }
    return Layout{pair, KeyFileOf(pair), "", {}, false};
  }
  if (there.empty()) return FindNamedPair(folder);
  for (size_t i = 1; i < there.size(); ++i) {
    warnings->push_back(base::StrCat("two pairs in ", folder.path, ": ",
                                     PairText(there.front()), " is used, ",
                                     PairText(there[i]), " is not"));
  }
  return there.front();
}

// ---- roots ----

bool Signed(const Certificate& certificate, const Certificate& by) {
  const bool is =
      X509_verify(certificate.native(), X509_get0_pubkey(by.native())) == 1;
  ERR_clear_error();
  return is;
}

// Of a folder in which anything may lie only what the certificates rest on.
base::StatusOr<std::vector<Certificate>> RootsAround(
    const Folder& folder, const std::vector<Certificate>& certificates) {
  std::vector<Certificate> roots;
  std::copy_if(certificates.begin(), certificates.end(),
               std::back_inserter(roots), IsSelfSigned);
  if (!roots.empty()) return roots;
  for (const std::string& name : folder.names) {
    if (!name.ends_with(".crt")) continue;
    NODEWARD_ASSIGN(const std::vector<Certificate> all,
                    ReadCertificates(folder.At(name)));
    for (const Certificate& root : all) {
      const bool above = std::any_of(
          certificates.begin(), certificates.end(),
          [&root](const Certificate& one) { return Signed(one, root); });
      if (above && MaySign(root) && IsSelfSigned(root)) roots.push_back(root);
    }
  }
  return roots;
}

base::StatusOr<std::vector<Certificate>> FindRoots(
    const IssuerPlace& place, const Folder& folder, const Layout& layout,
    const std::vector<Certificate>& certificates) {
  if (!place.roots.empty()) return ReadRoots(place.roots);
  for (const std::string& name : layout.roots) {
    if (folder.Has(name)) return ReadCertificates(folder.At(name));
  }
  if (layout.roots_needed) {
    return absl::FailedPreconditionError(base::StrCat(
        "open issuer ", folder.path, ": ", layout.roots.front(),
        " containing the trust anchors needs to exist in it (or name a bundle "
        "with --roots)"));
  }
  return RootsAround(folder, certificates);
}

// ---- one file ----

base::StatusOr<AuthorityParts> ReadCombined(const IssuerPlace& place,
                                            const std::string& path,
                                            bool mounted) {
  NODEWARD_ASSIGN(std::vector<Certificate> certificates,
                  ReadCertificates(path));
  std::vector<std::string> warnings;
  NODEWARD_ASSIGN(PrivateKey key, ReadKey(path, mounted, &warnings));
  std::vector<Certificate> roots;
  if (!place.roots.empty()) {
    NODEWARD_ASSIGN(roots, ReadRoots(place.roots));
  } else {
    std::copy_if(certificates.begin(), certificates.end(),
                 std::back_inserter(roots), IsSelfSigned);
  }
  return AuthorityParts{std::move(certificates), std::move(key),
                        std::move(roots), path, std::move(warnings)};
}

base::StatusOr<std::optional<std::string>> FindCombined(const Folder& folder) {
  std::optional<std::string> found;
  for (const std::string& name : folder.names) {
    if (!name.ends_with(".pem")) continue;
    NODEWARD_ASSIGN(File file, ReadFile(folder.At(name)));
    const bool both =
        file.text.find("BEGIN CERTIFICATE-----") != std::string::npos &&
        file.text.find("PRIVATE KEY-----") != std::string::npos;
    Wipe(&file.text);
    if (!both) continue;
    if (found.has_value()) {
      return absl::FailedPreconditionError(
          base::StrCat("open issuer ", folder.path, ": ", *found, " and ", name,
                       " both hold a pair (name one of the files)"));
    }
    found = name;
  }
  return found;
}

bool HasPair(const Folder& folder) {
  return std::any_of(
      folder.names.begin(), folder.names.end(), [&](const std::string& name) {
        for (const Layout& layout : KnownLayouts()) {
          if (name == layout.certificate || name == layout.key) return true;
        }
        return name.ends_with(".crt") &&
               folder.Has(name.substr(0, name.size() - 4) + ".key");
      });
}

}  // namespace

base::StatusOr<AuthorityParts> ReadIssuer(const IssuerPlace& place) {
  std::error_code error;
  if (fs::is_regular_file(place.path, error)) {
    return ReadCombined(place, place.path, /*mounted=*/false);
  }
  NODEWARD_ASSIGN(const Folder folder, OpenFolder(place.path));
  if (place.pair.empty() && !HasPair(folder)) {
    NODEWARD_ASSIGN(const std::optional<std::string> combined,
                    FindCombined(folder));
    if (combined.has_value()) {
      return ReadCombined(place, folder.At(*combined), folder.mounted);
    }
  }
  std::vector<std::string> warnings;
  NODEWARD_ASSIGN(const Layout layout, Choose(folder, place.pair, &warnings));
  NODEWARD_ASSIGN(std::vector<Certificate> certificates,
                  ReadCertificates(folder.At(layout.certificate)));
  NODEWARD_ASSIGN(PrivateKey key,
                  ReadKey(folder.At(layout.key), folder.mounted, &warnings));
  if (!layout.chain.empty() && folder.Has(layout.chain)) {
    NODEWARD_ASSIGN(const std::vector<Certificate> above,
                    ReadCertificates(folder.At(layout.chain)));
    certificates.insert(certificates.end(), above.begin(), above.end());
  }
  NODEWARD_ASSIGN(std::vector<Certificate> roots,
                  FindRoots(place, folder, layout, certificates));
  return AuthorityParts{
      std::move(certificates), std::move(key), std::move(roots),
      base::StrCat(PairText(layout), " in ", folder.path), std::move(warnings)};
}

base::StatusOr<std::vector<Certificate>> ReadRoots(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return ReadCertificates(path);
  NODEWARD_ASSIGN(const Folder folder, OpenFolder(path));
  std::vector<Certificate> roots;
  for (const std::string& name : folder.names) {
    if (!name.ends_with(".crt") && !name.ends_with(".pem")) continue;
    NODEWARD_ASSIGN(const std::vector<Certificate> all,
                    ReadCertificates(folder.At(name)));
    roots.insert(roots.end(), all.begin(), all.end());
  }
  if (roots.empty()) {
    return absl::NotFoundError(base::StrCat("read roots: no certificate in ",
                                            path, " (*.crt or *.pem)"));
  }
  return roots;
}

}  // namespace nodeward::pki
