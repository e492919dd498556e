// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer entry; test/fuzz/run builds and runs it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tls/client_hello.h"

using nodeward::tls::SniffClientHello;
using nodeward::tls::Sniffed;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Sniffed whole = SniffClientHello({data, size});
  (void)whole.is_mesh();
  // An answer once given stays, whatever follows.
  const Sniffed part = SniffClientHello({data, size / 2});
  if (part.kind != Sniffed::Kind::kNeedMore && part.kind != whole.kind) abort();
  // A buffer of the limit always gets one.
  if (size >= nodeward::tls::kMaxClientHello &&
      whole.kind == Sniffed::Kind::kNeedMore) {
    abort();
  }
  return 0;
}
