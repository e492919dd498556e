// SPDX-License-Identifier: Apache-2.0
//
// Pins: names below a BPF file system that keep maps and links alive when the
// agent does not. (Its names may hold no dot.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace nodeward::kernel {

// What is not finished ends in this; whoever finds it may remove it.
inline constexpr std::string_view kUnfinished = "-new";

// Makes `path` and what is missing above it, mode 0700. An error names the
// mount command when the place is not on a BPF file system.
base::Status MakePinDirectory(const std::string& path);
bool IsOnBpfFileSystem(const std::string& path);

bool PathExists(const std::string& path);
// Names in a folder, sorted; none when it does not exist.
std::vector<std::string> ListDirectory(const std::string& path);

// The name of what is pinned for a network namespace, and the namespaces that
// `directory` has something for.
std::string NameOf(uint64_t cookie);
std::vector<uint64_t> CookiesIn(const std::string& directory);

// The folders of versions ("v1", "v1-new") below `bpf_dir`, which may be shared
// with others; none when it holds no pins.
std::vector<std::string> ListVersions(const std::string& bpf_dir);

// Pins under a name of its own and renames: what `path` held is replaced in
// one step.
base::Status Pin(int fd, const std::string& path);
// kNotFound when there is none.
base::StatusOr<base::Fd> OpenPin(const std::string& path);
base::Status RenamePin(const std::string& from, const std::string& to);
// Unlinks the file or removes the folder with all it holds. Absent is OK.
base::Status RemovePin(const std::string& path);

enum class PinKind { kMap, kProgram, kLink, kOther };
PinKind KindOf(int fd);

}  // namespace nodeward::kernel
