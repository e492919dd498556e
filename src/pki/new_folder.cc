// SPDX-License-Identifier: Apache-2.0
#include "pki/new_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/fd.h"
#include "base/text.h"
#include "pki/file.h"

namespace nodeward::pki {
namespace {

base::Status Fill(const std::string& made, const std::string& path,
                  const std::string& parent,
                  const std::vector<NewFile>& files) {
  for (const NewFile& file : files) {
    NODEWARD_TRY(
        WriteNewFile(base::StrCat(made, "/", file.name), file.text, file.mode));
  }
  NODEWARD_TRY(SyncFolder(made));
  if (renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, path.c_str(),
                RENAME_NOREPLACE) != 0) {
    const int error = errno;
    if (error == EEXIST) {
      return absl::AlreadyExistsError(base::StrCat(
          path, " exists (choose another folder; nothing was changed)"));
    }
    return base::ErrnoStatus(error, base::StrCat("make folder ", path));
  }
  return SyncFolder(parent);
}

}  // namespace

base::Status MakeNewFolder(const std::string& path,
                           const std::vector<NewFile>& files) {
  const std::filesystem::path wanted(path);
  const std::string parent = wanted.has_parent_path()
                                 ? wanted.parent_path().string()
                                 : std::string(".");
  std::string made = base::StrCat(path, ".XXXXXX");
  if (mkdtemp(made.data()) == nullptr) {
    return base::ErrnoStatus(errno, base::StrCat("make folder ", path));
  }
  const base::Status filled = Fill(made, path, parent, files);
  if (!filled.ok()) {
    std::error_code ignored;
    std::filesystem::remove_all(made, ignored);
  }
  return filled;
}

}  // namespace nodeward::pki
