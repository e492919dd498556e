// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer entry; test/fuzz/run builds and runs it. The first byte chooses the
// sizes of the pieces; then comes, frame by frame, what the client says and
// what the application does: a byte that says which of the two, two bytes of
// length, the bytes. What the client says begins with the preface.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "http/stream_fixture.h"

namespace {

using nodeward::http::Link;
using nodeward::http::RequestHead;
using nodeward::http::StreamDriver;
using nodeward::http::StreamGateway;
using nodeward::http::StreamGatewayUser;

// What reaches the application is a whole request that was judged, with our
// certificate and nobody else's.
void CheckForwarded(const StreamDriver& driver) {
  size_t requests = 0;
  for (const auto& seen : driver.to_application) {
    if (seen.type != nodeward::http::wire::kHeaders) continue;
    int methods = 0;
    int certificates = 0;
    for (const auto& [name, value] : seen.fields) {
      if (name == ":method") ++methods;
      if (name == ":path" && value.starts_with("/no")) abort();
      if (name == "transfer-encoding" || name == "connection") abort();
      if (name == "x-forwarded-client-cert") {
        if (value != "CERT") abort();
        ++certificates;
      }
      for (const char c : value) {
        if (c == '\r' || c == '\n' || c == '\0') abort();
      }
    }
    if (methods != certificates || methods > 1) abort();
    requests += static_cast<size_t>(methods);
  }
  if (requests > static_cast<size_t>(driver.requests)) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t step = data[0] % 64 + 1;
  text.remove_prefix(1);
  StreamDriver driver;
  driver.judge = [](RequestHead* request) {
    return request->path().starts_with("/no")
               ? StreamGatewayUser::Ruling::kDeny
               : StreamGatewayUser::Ruling::kForward;
  };
  driver.certificate = "CERT";
  driver.Greet();
  while (text.size() >= 3) {
    const bool application = (text[0] & 1) != 0;
    const size_t length = std::min<size_t>(
        static_cast<uint8_t>(text[1]) << 8 | static_cast<uint8_t>(text[2]),
        text.size() - 3);
    std::string_view said = text.substr(3, length);
    text.remove_prefix(3 + length);
    while (!said.empty()) {
      const std::string_view piece = said.substr(0, step);
      said.remove_prefix(piece.size());
      if (application) {
        driver.Application(piece);
      } else {
        driver.Client(piece);
      }
    }
    if (driver.gateway->held() > 2 * Link::kConnectionWindow) abort();
  }
  CheckForwarded(driver);
  driver.gateway->ClientEnded();
  driver.Flush();
  driver.gateway->ApplicationEnded();
  driver.Flush();
  return 0;
}
