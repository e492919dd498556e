// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace nodeward::base {

// absl's, because clang's thread-safety analysis understands it and reports
// false positives on libstdc++'s std::mutex. Members: ABSL_GUARDED_BY(mutex_).
using Mutex = absl::Mutex;
using MutexLock = absl::MutexLock;

}  // namespace nodeward::base
