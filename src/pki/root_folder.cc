// SPDX-License-Identifier: Apache-2.0
#include "pki/root_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/fd.h"
#include "base/text.h"
#include "pki/file.h"

// A root comes into being under the lock in this order, each step on disk
// before the next:
//
//   .ca.key.new and .ca.crt.new written   a crash: both are written anew
//   .ca.key.new -> ca.key                 a crash: ca.key and .ca.crt.new are
//                                         there and match: the next one renames
//   .ca.crt.new -> ca.crt                 published; from here on never touched
//
// So ca.key without ca.crt and without .ca.crt.new is nobody's crash: somebody
// has taken the certificate away, and a new one must not replace it.

namespace nodeward::pki {
namespace {

constexpr absl::Duration kLockPatience = absl::Seconds(10);
constexpr char kRemedy[] =
    "restore the other file from a backup, or move both away for a new root, "
    "which every peer then has to trust";

struct Paths {
  std::string folder;
  std::string certificate = base::StrCat(folder, "/ca.crt");
  std::string key = base::StrCat(folder, "/ca.key");
  std::string new_certificate = base::StrCat(folder, "/.ca.crt.new");
  std::string new_key = base::StrCat(folder, "/.ca.key.new");
  std::string lock = base::StrCat(folder, "/.lock");
};

base::StatusOr<bool> Exists(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT) return false;
  return base::ErrnoStatus(errno, base::StrCat("look for ", path));
}

base::StatusOr<std::string> ReadKey(const std::string& path) {
  NODEWARD_ASSIGN(File file, ReadFile(path));
  if (file.others_may_read) {
    Wipe(&file.text);
    return absl::FailedPreconditionError(
        base::StrCat("read ", path,
                     ": others than its owner may read or write it (chmod "
                     "600, and take the key for known if they did)"));
  }
  return std::move(file.text);
}

base::Status WriteFile(const std::string& path, std::string_view text,
                       mode_t mode) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return base::ErrnoStatus(errno, base::StrCat("remove ", path));
  }
  return WriteNewFile(path, text, mode);
}

base::Status Move(const Paths& paths, const std::string& from,
                  const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) {
    return base::ErrnoStatus(errno, base::StrCat("rename ", from, " to ", to));
  }
  return SyncFolder(paths.folder);
}

// mkdir -p; what is made here is 0700.
base::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) {
    return base::OkStatus();
  }
  const int error = errno;
  const size_t slash = path.find_last_of('/');
  if (error == ENOENT && slash != std::string::npos && slash > 0) {
    NODEWARD_TRY(MakeFolder(path.substr(0, slash)));
    if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) {
      return base::OkStatus();
    }
    return base::ErrnoStatus(errno, base::StrCat("make CA folder ", path));
  }
  return base::ErrnoStatus(error, base::StrCat("make CA folder ", path));
}

base::Status CheckFolder(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return base::ErrnoStatus(errno, base::StrCat("look at CA folder ", path));
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(
        base::StrCat("open CA folder ", path, ": not a folder"));
  }
  if ((info.st_mode & 022) != 0 ||
      (info.st_uid != 0 && info.st_uid != geteuid())) {
    return absl::FailedPreconditionError(
        base::StrCat("open CA folder ", path,
                     ": others could replace the root "
                     "in it (chown root and chmod 700)"));
  }
  return base::OkStatus();
}

base::StatusOr<base::Fd> Lock(const std::string& path) {
  base::Fd fd(
      open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    return base::ErrnoStatus(
        errno, base::StrCat("create ", path,
                            " (a new root needs a folder to write to)"));
  }
  const absl::Time deadline = absl::Now() + kLockPatience;
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return base::ErrnoStatus(errno, base::StrCat("lock ", path));
    }
    if (absl::Now() > deadline) {
      return absl::UnavailableError(base::StrCat(
          "lock ", path, ": another process has held it for ",
          absl::FormatDuration(kLockPatience), " (find it with fuser)"));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  return fd;
}

base::StatusOr<Root> ReadPair(const std::string& certificate_path,
                              const std::string& key_path) {
  NODEWARD_ASSIGN(const File file, ReadFile(certificate_path));
  base::StatusOr<Certificate> certificate = Certificate::ParsePem(file.text);
  if (!certificate.ok()) {
    return base::Annotate(certificate.status(), certificate_path);
  }
  NODEWARD_ASSIGN(std::string key_pem, ReadKey(key_path));
  base::StatusOr<PrivateKey> key = PrivateKey::ParsePem(key_pem);
  Wipe(&key_pem);
  if (!key.ok()) return base::Annotate(key.status(), key_path);
  Root root{*std::move(certificate), *std::move(key)};
  NODEWARD_TRY(base::Annotate(
      CheckRoot(root),
      base::StrCat("use ", certificate_path, " with ", key_path)));
  return root;
}

base::StatusOr<Root> Store(const Paths& paths, Root root) {
  NODEWARD_ASSIGN(std::string key_pem, root.key.ToPem());
  const base::Status written = WriteFile(paths.new_key, key_pem, 0600);
  Wipe(&key_pem);
  NODEWARD_TRY(written);
  NODEWARD_TRY(
      WriteFile(paths.new_certificate, root.certificate.ToPem(), 0644));
  NODEWARD_TRY(SyncFolder(paths.folder));
  NODEWARD_TRY(Move(paths, paths.new_key, paths.key));
  NODEWARD_TRY(Move(paths, paths.new_certificate, paths.certificate));
  return root;
}

// REQUIRES: the lock is held and there was no pair before.
base::StatusOr<Root> StoreOrFinish(
    const Paths& paths, const std::function<base::StatusOr<Root>()>& make) {
  NODEWARD_ASSIGN(const bool certificate, Exists(paths.certificate));
  NODEWARD_ASSIGN(const bool key, Exists(paths.key));
  if (certificate && key) return ReadPair(paths.certificate, paths.key);
  if (certificate) {
    return absl::FailedPreconditionError(
        base::StrCat("open CA folder: ", paths.certificate, " is there but ",
                     paths.key, " is not (", kRemedy, ")"));
  }
  if (key) {
    NODEWARD_ASSIGN(const bool unfinished, Exists(paths.new_certificate));
    if (unfinished && ReadPair(paths.new_certificate, paths.key).ok()) {
      NODEWARD_TRY(Move(paths, paths.new_certificate, paths.certificate));
      return ReadPair(paths.certificate, paths.key);
    }
    return absl::FailedPreconditionError(
        base::StrCat("open CA folder: ", paths.key, " is there but ",
                     paths.certificate, " is not (", kRemedy, ")"));
  }
  NODEWARD_ASSIGN(Root root, make());
  return Store(paths, std::move(root));
}

}  // namespace

base::StatusOr<Root> OpenRootFolder(
    const std::string& folder,
    const std::function<base::StatusOr<Root>()>& make) {
  const Paths paths{folder};
  NODEWARD_TRY(MakeFolder(folder));
  NODEWARD_TRY(CheckFolder(folder));
  // The certificate is published last: where it is, the pair is complete, and
  // no lock is needed (the folder may be read-only).
  NODEWARD_ASSIGN(const bool certificate, Exists(paths.certificate));
  NODEWARD_ASSIGN(const bool key, Exists(paths.key));
  if (certificate && key) return ReadPair(paths.certificate, paths.key);
  NODEWARD_ASSIGN(const base::Fd lock, Lock(paths.lock));
  return StoreOrFinish(paths, make);
}

}  // namespace nodeward::pki
