// SPDX-License-Identifier: Apache-2.0
#include "http/beast_head.h"

#include <boost/beast/http/basic_parser.hpp>
#include <cstdlib>
#include <limits>
#include <type_traits>

#include "base/text.h"
#include "http/head.h"

namespace boost {

// Boost asks for these where exceptions are off. The parser reports by error
// codes; what would be thrown is a lack of memory, which ends the process, as
// everywhere else.
void throw_exception(const std::exception&) { std::abort(); }
void throw_exception(const std::exception&, const boost::source_location&) {
  std::abort();
}

}  // namespace boost

namespace nodeward::http {
namespace {

namespace beast = boost::beast;

std::string_view View(beast::string_view text) {
  return {text.data(), text.size()};
}

template <bool kRequest>
class Parser final : public beast::http::basic_parser<kRequest> {
 public:
  explicit Parser(BeastHead* head) : head_(head) {
    this->header_limit(2 * kMaxHeadBytes);
    this->body_limit(std::numeric_limits<uint64_t>::max());
  }

 private:
  using Error = beast::error_code;

  void on_request_impl(beast::http::verb, beast::string_view method,
                       beast::string_view target, int version,
                       Error&) override {
    head_->method = View(method);
    head_->target = View(target);
    head_->version = version;
  }
  void on_response_impl(int status, beast::string_view, int version,
                        Error&) override {
    head_->status = status;
    head_->version = version;
  }
  void on_field_impl(beast::http::field, beast::string_view name,
                     beast::string_view value, Error&) override {
    head_->fields.emplace_back(View(name), View(value));
  }
  void on_header_impl(Error&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&,
                         Error&) override {}
  std::size_t on_body_impl(beast::string_view body, Error&) override {
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, beast::string_view,
                            Error&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body,
                                 Error&) override {
    return body.size();
  }
  void on_finish_impl(Error&) override {}

  BeastHead* const head_;
};

template <bool kRequest>
base::StatusOr<BeastHead> ParseLines(std::string_view text) {
  BeastHead head;
  Parser<kRequest> parser(&head);
  // Boost's own string_view has no implicit way from the standard one.
  beast::error_code error;
  const size_t taken =
      parser.put(boost::asio::const_buffer(text.data(), text.size()), error);
  const std::string_view what =
      kRequest ? "read HTTP request: " : "read HTTP response: ";
  if (error && error != beast::http::error::need_more) {
    return absl::InvalidArgumentError(base::StrCat(what, error.message()));
  }
  if (!parser.is_header_done() || taken != text.size()) {
    return absl::InvalidArgumentError(
        base::StrCat(what, "its head has no proper end"));
  }
  head.chunked = parser.chunked();
  if (const auto length = parser.content_length()) head.length = *length;
  head.keep_alive = parser.keep_alive();
  return head;
}

}  // namespace

base::StatusOr<BeastHead> ParseRequestLines(std::string_view text) {
  return ParseLines<true>(text);
}

base::StatusOr<BeastHead> ParseResponseLines(std::string_view text) {
  return ParseLines<false>(text);
}

}  // namespace nodeward::http
