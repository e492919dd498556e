// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "pki/signer.h"

namespace nodeward::pki {

// Reads the root in `folder` (ca.crt and ca.key), or, when the folder is absent
// or holds neither file, stores what `make` returns and gives that back. Of
// several processes that do so at once one makes the root and all get it; one
// that dies on the way leaves nothing that the next cannot finish.
//
// Never overwrites: one file without the other, a pair that does not match, a
// key that others may read, a folder that others may write are errors that
// say what to do.
base::StatusOr<Root> OpenRootFolder(
    const std::string& folder,
    const std::function<base::StatusOr<Root>()>& make);

}  // namespace nodeward::pki
