// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer entry; test/fuzz/run builds and runs it.
// The first byte chooses the sizes of the pieces, a line "\x01" divides what
// the client says from what the application does.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "http/gateway_fixture.h"

namespace {

using nodeward::http::GatewayDriver;
using nodeward::http::GatewayUser;

struct Result {
  std::string to_application;
  std::string to_client;
  int requests = 0;
};

Result Run(std::string_view client, std::string_view application, size_t step) {
  GatewayDriver driver;
  driver.judge = [](nodeward::http::RequestHead* request) {
    return request->path().starts_with("/no") ? GatewayUser::Ruling::kDeny
                                              : GatewayUser::Ruling::kForward;
  };
  driver.certificate = "CERT";
  for (size_t i = 0; i < client.size(); i += step) {
    driver.Client(client.substr(i, step));
  }
  for (size_t i = 0; i < application.size(); i += step) {
    driver.Application(application.substr(i, step));
  }
  return {driver.to_application, driver.to_client, driver.requests};
}

// What went to the application is HTTP that is read the same by a second
// gateway behind the first, and nobody forged a certificate.
void CheckForwarded(const std::string& bytes, std::string_view application) {
  GatewayDriver second;
  second.judge = [](nodeward::http::RequestHead* request) {
    int count = 0;
    for (const auto& field : request->fields()) {
      if (field.key != "x-forwarded-client-cert") continue;
      if (field.value != "CERT" || ++count > 1) abort();
    }
    if (count != 1) abort();
    return GatewayUser::Ruling::kForward;
  };
  second.Client(bytes);
  second.Application(application);
  if (!second.gateway.error().ok() && !second.gateway.broken()) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t step = data[0] % 64 + 1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1,
                              size - 1);
  const size_t divide = text.find("\x01\n");
  const std::string_view client = text.substr(0, divide);
  const std::string_view application = divide == std::string_view::npos
                                           ? std::string_view()
                                           : text.substr(divide + 2);
  const Result whole = Run(client, application, size);
  const Result parts = Run(client, application, step);
  if (whole.requests != parts.requests ||
      whole.to_application != parts.to_application) {
    abort();
  }
  CheckForwarded(whole.to_application, application);
  return 0;
}
