// SPDX-License-Identifier: Apache-2.0
#include "cni/installer.h"

#include <dirent.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/handle.h"
#include "base/log.h"
#include "base/text.h"
#include "cni/call.h"
#include "cni/conflist.h"
#include "cni/file.h"

namespace nodeward::cni {
namespace {

using base::StrCat;

// No runtime reads files of these names.
constexpr char kNamespacesFile[] = "/nodeward-cni.namespaces";
constexpr char kKubeconfigFile[] = "/nodeward-cni.kubeconfig";
constexpr char kAside[] = ".nodeward-aside";

constexpr absl::Duration kSettle = absl::Milliseconds(20);
// However fast another one takes our entry out, not more often than this.
constexpr absl::Duration kBetweenChanges = absl::Seconds(1);
// A watch may miss something: a folder that comes to lie over ours.
constexpr absl::Duration kLookEvery = absl::Seconds(10);

std::string NamespacesIn(const std::string& dir) {
  return dir + kNamespacesFile;
}
std::string KubeconfigIn(const std::string& dir) {
  return dir + kKubeconfigFile;
}
std::string ProgramIn(const std::string& dir) {
  return StrCat(dir, "/", kPluginName);
}

struct Configuration {
  std::string path;
  std::string text;
  ConfigurationKind kind;
  mode_t mode;
};

// The valid ones, in the runtimes' order.
base::StatusOr<std::vector<Configuration>> ReadConfigurations(
    const std::string& dir) {
  const base::Handle<DIR, closedir> folder(opendir(dir.c_str()));
  if (folder == nullptr) {
    return base::ErrnoStatus(errno, StrCat("open CNI folder ", dir));
  }
  std::vector<std::string> names;
  while (const dirent* const entry = readdir(folder.get())) {
    names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  std::vector<Configuration> all;
  for (const std::string& name : names) {
    Configuration one{StrCat(dir, "/", name), "", ConfigurationKind::kNone,
                      0644};
    if (!name.ends_with(".conflist") && !name.ends_with(".conf") &&
        !name.ends_with(".json")) {
      continue;
    }
    auto text = ReadFile(one.path);
    if (!text.ok()) continue;
    one.kind = KindOf(name, *text);
    if (one.kind == ConfigurationKind::kNone) continue;
    one.text = *std::move(text);
    struct stat about {};
    if (stat(one.path.c_str(), &about) == 0) one.mode = about.st_mode & 0777;
    all.push_back(std::move(one));
  }
  return all;
}

// "/etc/cni/net.d/10-x.conflist" for "/etc/cni/net.d/10-x.conf"
std::string ListPathOf(const std::string& path) {
  return path.substr(0, path.rfind('.')) + ".conflist";
}

base::Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return base::OkStatus();
  return base::ErrnoStatus(errno, StrCat("rename ", from, " to ", to));
}

// What was set aside for the list at `path`; empty: nothing.
std::string AsideOf(const std::string& path) {
  const std::string stem = path.substr(0, path.rfind('.'));
  for (const char* ending : {".conf", ".json"}) {
    const std::string original = stem + ending;
    if (access((original + kAside).c_str(), F_OK) == 0) return original;
  }
  return "";
}

// Takes our entry out of one list; false: it was not there.
base::StatusOr<bool> RemoveFrom(const Configuration& list) {
  if (list.kind != ConfigurationKind::kList || !HasEntry(list.text)) {
    return false;
  }
  const std::string original = AsideOf(list.path);
  if (original.empty()) {
    NODEWARD_TRY(ReplaceFile(list.path, WithoutEntry(list.text), list.mode));
    return true;
  }
  NODEWARD_TRY(Rename(original + kAside, original));
  if (unlink(list.path.c_str()) != 0) {
    return base::ErrnoStatus(errno, StrCat("remove ", list.path));
  }
  return true;
}

}  // namespace

base::StatusOr<std::unique_ptr<Installer>> Installer::Create(io::Loop& loop,
                                                             Places places) {
  base::Fd inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify.valid()) return base::ErrnoStatus(errno, "start inotify");
  std::unique_ptr<Installer> installer(
      new Installer(loop, std::move(places), std::move(inotify)));
  NODEWARD_TRY(loop.Add(installer->inotify_.get(), EPOLLIN, installer.get()));
  return installer;
}

Installer::Installer(io::Loop& loop, Places places, base::Fd inotify)
    : loop_(loop),
      places_(std::move(places)),
      inotify_(std::move(inotify)),
      look_(loop, [this] { Look(); }) {}

Installer::~Installer() { loop_.Remove(inotify_.get(), this); }

void Installer::SetNamespaces(const KnownNamespaces& namespaces) {
  std::string text = TextOf(namespaces);
  if (text == namespaces_) return;
  namespaces_ = std::move(text);
  if (keeping_) Look();
}

void Installer::SetKubeconfig(const Kubeconfig& config) {
  kubeconfig_ = TextOf(config);
  if (keeping_) Look();
}

void Installer::Keep() {
  if (std::exchange(keeping_, true)) return;
  Look();
}

void Installer::OnEvents(uint32_t) {
  alignas(inotify_event) char buffer[4096];
  while (read(inotify_.get(), buffer, sizeof(buffer)) > 0) {
  }
  if (!keeping_) return;
  const bool lately = loop_.now() - changed_ < kBetweenChanges;
  look_.Set(lately ? kBetweenChanges : kSettle);
}

void Installer::Look() {
  look_.Set(kLookEvery);
  // Of a folder that is watched already this changes nothing.
  const int watched = inotify_add_watch(
      inotify_.get(), places_.configuration_dir.c_str(),
      IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR);
  const base::Status status =
      watched >= 0 ? Install()
                   : base::ErrnoStatus(
                         errno, StrCat("watch ", places_.configuration_dir));
  std::string problem =
      status.ok() ? ""
                  : StrCat("CNI plugin: ", base::FromAbsl(status.message()));
  if (problem != problem_) {
    if (problem.empty()) {
      base::LogInfo("the CNI plugin is installed",
                    {{"folder", places_.configuration_dir}});
    } else {
      base::LogWarn("the CNI plugin is not installed", {{"problem", problem}});
    }
  }
  problem_ = std::move(problem);
}

base::Status Installer::InstallProgram() {
  const std::string path = ProgramIn(places_.program_dir);
  struct stat about {};
  const auto looks_as_left = [&] {
    return stat(path.c_str(), &about) == 0 && about.st_ino == program_.st_ino &&
           about.st_dev == program_.st_dev &&
           about.st_size == program_.st_size &&
           about.st_mode == program_.st_mode &&
           about.st_mtim.tv_sec == program_.st_mtim.tv_sec &&
           about.st_mtim.tv_nsec == program_.st_mtim.tv_nsec;
  };
  if (looks_as_left()) return base::OkStatus();
  NODEWARD_TRY(CopyProgram(places_.program, path));
  if (stat(path.c_str(), &program_) == 0) return base::OkStatus();
  return base::ErrnoStatus(errno, StrCat("look at ", path));
}

base::Status Installer::Install() {
  NODEWARD_TRY(InstallProgram());
  NODEWARD_TRY(WriteState());
  // Last: from here on runtimes call it.
  return InstallEntry();
}

base::Status Installer::WriteState() {
  const std::string& dir = places_.configuration_dir;
  const std::pair<std::string, const std::string*> files[] = {
      {NamespacesIn(dir), &namespaces_}, {KubeconfigIn(dir), &kubeconfig_}};
  for (const auto& [path, content] : files) {
    if (content->empty()) continue;
    const auto present = ReadFile(path);
    if (present.ok() && *present == *content) continue;
    NODEWARD_TRY(ReplaceFile(path, *content, 0600));
  }
  return base::OkStatus();
}

base::Json Installer::Entry() const {
  return {{"type", kPluginName},
          {"socket", places_.socket},
          {"kubeconfig", KubeconfigIn(places_.configuration_dir)},
          {"namespaces", NamespacesIn(places_.configuration_dir)},
          {"agentNamespace", places_.agent_namespace}};
}

base::Status Installer::InstallEntry() {
  NODEWARD_ASSIGN(const auto all,
                  ReadConfigurations(places_.configuration_dir));
  if (all.empty()) {
    return absl::NotFoundError(
        StrCat("no network configuration in ", places_.configuration_dir,
               ": the node's network plugin has not put one there yet, or "
               "cni.confDir is another folder"));
  }
  const Configuration& first = all.front();
  for (const Configuration& other : all) {
    // Only the first counts.
    if (&other != &first && other.path != ListPathOf(first.path)) {
      NODEWARD_TRY(RemoveFrom(other).status());
    }
  }
  if (first.kind == ConfigurationKind::kList) {
    const std::string wanted = WithEntry(first.text, Entry());
    if (wanted == first.text) return base::OkStatus();
    changed_ = loop_.now();
    NODEWARD_TRY(ReplaceFile(first.path, wanted, first.mode));
  } else {
    // The list lies there before what it replaces is set aside.
    changed_ = loop_.now();
    NODEWARD_TRY(ReplaceFile(ListPathOf(first.path),
                             ListOf(first.text, Entry()), first.mode));
    NODEWARD_TRY(Rename(first.path, first.path + kAside));
  }
  base::LogInfo("the CNI plugin is in the node's network configuration",
                {{"file", first.path}});
  return base::OkStatus();
}

void Installer::RemoveEntry() {
  keeping_ = false;
  look_.Cancel();
  problem_.clear();
  const auto all = ReadConfigurations(places_.configuration_dir);
  if (!all.ok()) return;
  for (const Configuration& one : *all) {
    const auto removed = RemoveFrom(one);
    if (removed.ok()) continue;
    base::LogError("the CNI plugin stays in the node's network configuration",
                   {{"error", std::string(removed.status().message())}});
  }
}

base::StatusOr<std::vector<std::string>> RemovePlugin(
    const std::string& configuration_dir, const std::string& program_dir) {
  std::vector<std::string> gone;
  auto all = ReadConfigurations(configuration_dir);
  if (!all.ok() && !absl::IsNotFound(all.status())) return all.status();
  if (all.ok()) {
    for (const Configuration& one : *all) {
      NODEWARD_ASSIGN(const bool removed, RemoveFrom(one));
      if (removed) gone.push_back(StrCat("entry in ", one.path));
    }
  }
  for (const std::string& path :
       {NamespacesIn(configuration_dir), KubeconfigIn(configuration_dir),
        ProgramIn(program_dir)}) {
    if (unlink(path.c_str()) == 0) {
      gone.push_back(StrCat("file ", path));
    } else if (errno != ENOENT && errno != ENOTDIR) {
      return base::ErrnoStatus(errno, StrCat("remove ", path));
    }
  }
  return gone;
}

}  // namespace nodeward::cni
