// SPDX-License-Identifier: Apache-2.0
#include "ca/https_client.h"

#include <curl/curl.h>

#include <utility>

#include "base/handle.h"
#include "base/text.h"
#include "pki/file.h"
#include "pki/key.h"

namespace nodeward::ca {
namespace {

constexpr size_t kMaxBody = 4 << 20;
constexpr size_t kMaxIdle = 8;

using Curl = base::Handle<CURL, curl_easy_cleanup>;
using Headers = base::Handle<curl_slist, curl_slist_free_all>;

void InitOnce() {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)kReady;
}

size_t Collect(char* data, size_t, size_t size, void* body) {
  auto* const text = static_cast<std::string*>(body);
  if (text->size() + size > kMaxBody) return 0;  // curl gives up
  text->append(data, size);
  return size;
}

// curl_slist_append leaves the list as it was when it fails.
bool Add(Headers* headers, const char* line) {
  curl_slist* const longer = curl_slist_append(headers->get(), line);
  if (longer == nullptr) return false;
  (void)headers->release();
  headers->reset(longer);
  return true;
}

std::string Trimmed(std::string text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text;
}

}  // namespace

struct HttpsClient::Request {
  const char* method;
  const std::string& path;
  const std::string* json;  // null: without a body
};

// A handle and with it the connections that it has open.
class HttpsClient::Exchange {
 public:
  Exchange() : curl_(curl_easy_init()) {}

  base::StatusOr<Answer> Ask(const Options& options, const Request& request);

 private:
  Curl curl_;
};

base::StatusOr<HttpsClient::Answer> HttpsClient::Exchange::Ask(
    const Options& options, const Request& request) {
  NODEWARD_ASSIGN(pki::File token, pki::ReadFile(options.token_file));
  std::string bearer =
      base::StrCat("Authorization: Bearer ", Trimmed(token.text));
  pki::Wipe(&token.text);
  Headers headers;
  const bool listed = curl_ != nullptr && Add(&headers, bearer.c_str()) &&
                      Add(&headers, "Content-Type: application/json") &&
                      Add(&headers, "Accept: application/json");
  pki::Wipe(&bearer);
  if (!listed) return absl::ResourceExhaustedError("prepare request: memory");
  CURL* const curl = curl_.get();
  curl_easy_reset(curl);  // keeps connections
  Answer answer;
  char reason[CURL_ERROR_SIZE] = "";
  const std::string url = base::StrCat(options.server, request.path);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_CAINFO, options.ca_file.c_str());
  curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, 0L);  // the file changes
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(
      curl, CURLOPT_TIMEOUT_MS,
      static_cast<long>(absl::ToInt64Milliseconds(options.deadline)));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  if (request.json != nullptr) {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.json->c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE,
                     static_cast<long>(request.json->size()));
  }
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Collect);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  if (code != CURLE_OK) {
    return absl::UnavailableError(
        base::StrCat("ask ", options.server, ": ",
                     reason[0] != '\0' ? reason : curl_easy_strerror(code)));
  }
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

HttpsClient::HttpsClient(Options options) : options_(std::move(options)) {
  InitOnce();
}

HttpsClient::~HttpsClient() = default;

std::unique_ptr<HttpsClient::Exchange> HttpsClient::Take() {
  base::MutexLock lock(&mutex_);
  if (idle_.empty()) return std::make_unique<Exchange>();
  std::unique_ptr<Exchange> exchange = std::move(idle_.back());
  idle_.pop_back();
  return exchange;
}

void HttpsClient::Give(std::unique_ptr<Exchange> exchange) {
  base::MutexLock lock(&mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(exchange));
}

base::StatusOr<HttpsClient::Answer> HttpsClient::Post(const std::string& path,
                                                      const std::string& json) {
  return Ask({"POST", path, &json});
}

base::StatusOr<HttpsClient::Answer> HttpsClient::Get(const std::string& path) {
  return Ask({"GET", path, nullptr});
}

base::StatusOr<HttpsClient::Answer> HttpsClient::Ask(const Request& request) {
  std::unique_ptr<Exchange> exchange = Take();
  auto answer = exchange->Ask(options_, request);
  if (answer.ok()) Give(std::move(exchange));
  return answer;
}

}  // namespace nodeward::ca
