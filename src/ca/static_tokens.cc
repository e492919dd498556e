// SPDX-License-Identifier: Apache-2.0
#include "ca/static_tokens.h"

#include <utility>
#include <vector>

#include "base/text.h"
#include "ca/file_state.h"
#include "pki/file.h"
#include "pki/key.h"

namespace nodeward::ca {
namespace {

constexpr std::string_view kDigestPrefix = "sha256:";
constexpr size_t kMinToken = 16;

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while (true) {
    at = line.find_first_not_of(" \t\r", at);
    if (at == std::string_view::npos || line[at] == '#') return words;
    const size_t end = line.find_first_of(" \t\r", at);
    words.push_back(line.substr(at, end - at));
    if (end == std::string_view::npos) return words;
    at = end;
  }
}

int Nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

base::StatusOr<pki::Digest> ParseDigest(std::string_view hex) {
  pki::Digest digest;
  bool good = hex.size() == 2 * digest.size();
  for (size_t i = 0; good && i < digest.size(); ++i) {
    const int high = Nibble(hex[2 * i]), low = Nibble(hex[2 * i + 1]);
    good = high >= 0 && low >= 0;
    digest[i] = static_cast<uint8_t>((high << 4) | (low & 15));
  }
  if (!good) {
    return absl::InvalidArgumentError(
        "sha256: wants 64 hexadecimal digits (printf %s TOKEN | sha256sum)");
  }
  return digest;
}

base::Status ReadAttribute(std::string_view word, Caller* caller) {
  const size_t equals = word.find('=');
  const std::string_view key = word.substr(0, equals);
  const std::string value(
      equals == std::string_view::npos ? "" : word.substr(equals + 1));
  if (!value.empty() && key == "node") {
    caller->node_name = value;
  } else if (!value.empty() && key == "pod") {
    caller->pod_name = value;
  } else if (!value.empty() && key == "uid") {
    caller->pod_uid = value;
  } else {
    return absl::InvalidArgumentError(
        "only node=, pod= and uid= may follow the user");
  }
  return base::OkStatus();
}

struct Entry {
  pki::Digest digest;
  Caller caller;
  bool in_the_clear = false;
};

base::StatusOr<Entry> ReadLine(const std::vector<std::string_view>& words) {
  if (words.size() < 2) {
    return absl::InvalidArgumentError("a token and a user are needed");
  }
  Entry entry;
  if (words[0].starts_with(kDigestPrefix)) {
    NODEWARD_ASSIGN(entry.digest,
                    ParseDigest(words[0].substr(kDigestPrefix.size())));
  } else {
    if (words[0].size() < kMinToken) {
      return absl::InvalidArgumentError(
          base::StrCat("the token is shorter than ", kMinToken,
                       " characters (openssl rand -hex 32 makes one)"));
    }
    entry.digest = pki::Sha256(words[0]);
    entry.in_the_clear = true;
  }
  base::StatusOr<Caller> caller = ParseUsername(words[1]);
  if (!caller.ok()) {
    return absl::InvalidArgumentError(
        "the user is not system:serviceaccount:<namespace>:<account>");
  }
  entry.caller = *std::move(caller);
  for (size_t i = 2; i < words.size(); ++i) {
    NODEWARD_TRY(ReadAttribute(words[i], &entry.caller));
  }
  return entry;
}

}  // namespace

base::StatusOr<std::unique_ptr<StaticTokens>> StaticTokens::Open(
    std::string file) {
  std::unique_ptr<StaticTokens> tokens(new StaticTokens(std::move(file)));
  NODEWARD_TRY(tokens->Refresh());
  return tokens;
}

base::StatusOr<StaticTokens::Table> StaticTokens::Parse(std::string_view text,
                                                        bool others_may_read) {
  Table table;
  int number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::vector<std::string_view> words = Words(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (words.empty()) continue;
    base::StatusOr<Entry> entry = ReadLine(words);
    if (!entry.ok()) {
      return base::Annotate(entry.status(), base::StrCat("line ", number));
    }
    if (entry->in_the_clear && others_may_read) {
      return absl::FailedPreconditionError(
          "others than its owner may read or write it (chmod 600, and replace "
          "its tokens if they did)");
    }
    if (!table.emplace(entry->digest, std::move(entry->caller)).second) {
      return absl::InvalidArgumentError(
          base::StrCat("line ", number, ": the token of an earlier line"));
    }
  }
  return table;
}

base::Status StaticTokens::Refresh() {
  // Looked at before it is read: a change meanwhile is seen the next time.
  std::string state = FileState(file_);
  if (state == read_state_) return base::OkStatus();
  NODEWARD_ASSIGN(pki::File file, pki::ReadFile(file_));
  base::StatusOr<Table> table = Parse(file.text, file.others_may_read);
  pki::Wipe(&file.text);
  if (!table.ok()) {
    return base::Annotate(table.status(), base::StrCat("read tokens ", file_));
  }
  read_state_ = std::move(state);
  base::MutexLock lock(&mutex_);
  tokens_ = *std::move(table);
  return base::OkStatus();
}

base::StatusOr<Caller> StaticTokens::Authenticate(const std::string& token) {
  const pki::Digest digest = pki::Sha256(token);
  base::MutexLock lock(&mutex_);
  const auto found = tokens_.find(digest);
  if (found == tokens_.end()) {
    return absl::UnauthenticatedError(
        "authentication token could not be authenticated");
  }
  return found->second;
}

std::string StaticTokens::Description() const {
  return base::StrCat("tokens of ", file_);
}

}  // namespace nodeward::ca
