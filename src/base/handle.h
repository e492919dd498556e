// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

namespace nodeward::base {

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

// Owns a C object: Handle<X509, X509_free>.
template <typename T, auto Free>
using Handle = std::unique_ptr<T, FreeWith<Free>>;

}  // namespace nodeward::base
