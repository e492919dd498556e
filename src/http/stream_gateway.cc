// SPDX-License-Identifier: Apache-2.0
#include "http/stream_gateway.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace nodeward::http {
namespace {

constexpr std::string_view kDenied = "RBAC: access denied";
constexpr std::string_view kBad = "bad request";
constexpr std::string_view kGone =
    "upstream connect error or disconnect/reset before headers";

// What gRPC's own mapping makes of the status.
std::string_view GrpcStatus(int status) {
  switch (status) {
    case 400:
      return "13";  // INTERNAL
    case 403:
      return "7";  // PERMISSION_DENIED
    default:
      return "14";  // UNAVAILABLE
  }
}

// What a peer is told of a stream that the other has reset, or that was reset
// because the other broke a rule: that rule was not its own.
uint32_t Translate(uint32_t code) {
  switch (code) {
    case error_code::kRefusedStream:
    case error_code::kCancel:
    case error_code::kEnhanceYourCalm:
    case error_code::kInternalError:
      return code;
    default:
      return error_code::kCancel;
  }
}

}  // namespace

// One request and its answer: a stream on each side.
struct StreamGateway::Exchange {
  int32_t client = 0;       // ids; they outlive their streams
  int32_t application = 0;  // 0: it was not forwarded
  bool client_open = true;
  bool application_open = false;
  bool sent = false;            // to the application
  bool request_ended = false;   // by the client
  bool answered = false;        // its final response has begun
  bool response_ended = false;  // by the application, or by us
  bool own = false;             // answered here
  bool grpc = false;
  bool to_head = false;
  bool touched = false;
  uint64_t drained = 0;
  Pipe up;
  Pipe down;
  std::vector<Header> up_trailers;
  std::vector<Header> down_trailers;
};

class StreamGateway::ClientSide final : public LinkUser {
 public:
  explicit ClientSide(StreamGateway* gateway) : gateway_(gateway) {}

 private:
  static Exchange* Of(void* stream) { return static_cast<Exchange*>(stream); }

  void OnHead(int32_t id, void* stream, StreamHead head) override {
    if (head.kind == StreamHead::Kind::kRequest) {
      return gateway_->Open(id, std::move(head));
    }
    if (stream == nullptr) return;
    gateway_->TakeTrailers(Of(stream), std::move(head.fields));
  }
  void OnData(int32_t id, void* stream, base::ByteSpan bytes) override {
    gateway_->TakeFromClient(id, Of(stream), bytes);
  }
  void OnEnd(void* stream) override {
    Exchange* const exchange = Of(stream);
    exchange->request_ended = true;
    if (exchange->application_open) {
      gateway_->application_->Resume(exchange->application);
    }
  }
  void OnRequestSent(void*) override {}
  void OnClose(void* stream, uint32_t code) override {
    gateway_->ClientClosed(Of(stream), code);
  }
  // It opens no more streams; finished() will tell when the last is over.
  void OnGoaway() override {}
  void OnInvalid(base::Status why) override {
    gateway_->user_->OnBadRequest(why);
  }
  Body BodyOf(void* stream) override {
    const Exchange& exchange = *Of(stream);
    return {exchange.down.size(), exchange.response_ended,
            &exchange.down_trailers};
  }
  void TakeBody(void* stream, base::MutableByteSpan room) override {
    Exchange* const exchange = Of(stream);
    gateway_->Take(&exchange->down, room);
    if (!exchange->own && !gateway_->application_over_) {
      gateway_->application_->Consume(exchange->application, room.size());
    }
  }

  StreamGateway* const gateway_;
};

class StreamGateway::ApplicationSide final : public LinkUser {
 public:
  explicit ApplicationSide(StreamGateway* gateway) : gateway_(gateway) {}

 private:
  static Exchange* Of(void* stream) { return static_cast<Exchange*>(stream); }

  void OnHead(int32_t, void* stream, StreamHead head) override {
    if (stream != nullptr) gateway_->TakeAnswer(Of(stream), std::move(head));
  }
  void OnData(int32_t id, void* stream, base::ByteSpan bytes) override {
    Exchange* const exchange = Of(stream);
    if (exchange == nullptr || !exchange->client_open || exchange->own) {
      return gateway_->application_->Consume(id, bytes.size());
    }
    exchange->down.Add(bytes);
    gateway_->Touch(exchange);
    gateway_->client_->Resume(exchange->client);
  }
  void OnEnd(void* stream) override {
    Exchange* const exchange = Of(stream);
    exchange->response_ended = true;
    gateway_->client_->Resume(exchange->client);
  }
  void OnRequestSent(void* stream) override { Of(stream)->sent = true; }
  void OnClose(void* stream, uint32_t code) override {
    gateway_->ApplicationClosed(Of(stream), code);
  }
  void OnGoaway() override {
    if (!std::exchange(gateway_->goaway_, true)) gateway_->client_->Goaway();
  }
  void OnInvalid(base::Status) override {}  // the stream's end tells of it
  Body BodyOf(void* stream) override {
    const Exchange& exchange = *Of(stream);
    return {exchange.up.size(), exchange.request_ended, &exchange.up_trailers};
  }
  void TakeBody(void* stream, base::MutableByteSpan room) override {
    Exchange* const exchange = Of(stream);
    gateway_->Take(&exchange->up, room);
    gateway_->client_->Consume(exchange->client, room.size());
  }

  StreamGateway* const gateway_;
};

StreamGateway::StreamGateway(StreamGatewayUser* user)
    : user_(user),
      client_side_(std::make_unique<ClientSide>(this)),
      application_side_(std::make_unique<ApplicationSide>(this)) {}

StreamGateway::~StreamGateway() = default;

base::StatusOr<std::unique_ptr<StreamGateway>> StreamGateway::Create(
    StreamGatewayUser* user) {
  std::unique_ptr<StreamGateway> made(new StreamGateway(user));
  NODEWARD_ASSIGN(made->client_,
                  Link::Create(Role::kServer, made->client_side_.get()));
  NODEWARD_ASSIGN(made->application_,
                  Link::Create(Role::kClient, made->application_side_.get()));
  return made;
}

void StreamGateway::FromClient(base::ByteSpan bytes, absl::Duration now) {
  const base::Status taken = client_->Receive(bytes, now);
  if (!taken.ok() && !std::exchange(client_failed_, true)) {
    user_->OnBadRequest(taken);
  }
  Sweep();
}

void StreamGateway::FromApplication(base::ByteSpan bytes, absl::Duration now) {
  if (application_over_) return;
  if (!application_->Receive(bytes, now).ok()) ApplicationEnded();
  CheckApplication();
  Sweep();
}

size_t StreamGateway::ToClient(base::MutableByteSpan room) {
  const auto made = client_->Send(room);
  Sweep();
  return made.ok() ? *made : 0;
}

size_t StreamGateway::ToApplication(base::MutableByteSpan room) {
  if (application_over_) return 0;
  const auto made = application_->Send(room);
  if (!made.ok()) ApplicationEnded();
  CheckApplication();
  Sweep();
  return made.ok() ? *made : 0;
}

void StreamGateway::CheckApplication() {
  if (!application_over_ && application_->finished()) ApplicationEnded();
}

void StreamGateway::Hold() {
  for (Exchange* const exchange : touched_) {
    exchange->touched = false;
    for (Pipe* const pipe : {&exchange->up, &exchange->down}) {
      held_ -= pipe->held();
      pipe->Hold();
      held_ += pipe->held();
    }
  }
  touched_.clear();
}

void StreamGateway::Touch(Exchange* exchange) {
  if (!std::exchange(exchange->touched, true)) touched_.push_back(exchange);
}

void StreamGateway::Take(Pipe* pipe, base::MutableByteSpan room) {
  held_ -= pipe->held();
  pipe->Take(room);
  held_ += pipe->held();
}

void StreamGateway::Open(int32_t id, StreamHead head) {
  exchanges_.push_back(std::make_unique<Exchange>());
  Exchange* const exchange = exchanges_.back().get();
  exchange->client = id;
  exchange->request_ended = head.ends;
  client_->Name(id, exchange);
  if (head.large) {
    return Refuse(exchange, absl::InvalidArgumentError(
                                "read HTTP request: its head is too large"));
  }
  auto request = RequestHead::FromStream(head.fields);
  if (!request.ok()) return Refuse(exchange, request.status());
  exchange->grpc = request->is_grpc();
  exchange->to_head = request->method() == "HEAD";
  switch (user_->OnRequest(&*request)) {
    case StreamGatewayUser::Ruling::kForward:
      return Forward(exchange, *request);
    case StreamGatewayUser::Ruling::kDeny:
      return Reply(exchange, 403, kDenied);
    case StreamGatewayUser::Ruling::kRefuse:
      return Refuse(exchange,
                    absl::InvalidArgumentError("read HTTP request: what it "
                                               "asks for cannot be passed on"));
    case StreamGatewayUser::Ruling::kUnheard:
      return client_->Reset(id, error_code::kRefusedStream);
  }
}

void StreamGateway::Forward(Exchange* exchange, const RequestHead& request) {
  if (application_over_) {
    return client_->Reset(exchange->client, error_code::kRefusedStream);
  }
  const auto id =
      application_->Request(request.StreamFields(user_->client_cert()),
                            exchange->request_ended, exchange);
  if (!id.ok()) {
    return client_->Reset(exchange->client, error_code::kRefusedStream);
  }
  exchange->application = *id;
  exchange->application_open = true;
}

void StreamGateway::Refuse(Exchange* exchange, const base::Status& why) {
  client_->NoteWaste();
  user_->OnBadRequest(why);
  Reply(exchange, 400, kBad);
}

void StreamGateway::Reply(Exchange* exchange, int status,
                          std::string_view body) {
  exchange->own = exchange->answered = exchange->response_ended = true;
  std::vector<Header> fields;
  bool ends = exchange->to_head;
  if (exchange->grpc) {
    // Trailers only, as Envoy answers for itself.
    fields = {{":status", "200"},
              {"content-type", "application/grpc"},
              {"grpc-status", std::string(GrpcStatus(status))},
              {"grpc-message", std::string(body)}};
    ends = true;
  } else {
    fields = {{":status", base::StrCat(status)},
              {"content-length", base::StrCat(body.size())},
              {"content-type", "text/plain"}};
  }
  if (!ends) {
    exchange->down.Add(base::AsBytes(body));
    Touch(exchange);
  }
  if (!client_->Respond(exchange->client, fields, ends)) {
    client_->Reset(exchange->client, error_code::kInternalError);
  }
}

void StreamGateway::TakeTrailers(Exchange* exchange,
                                 std::vector<Header> fields) {
  exchange->request_ended = true;
  if (!exchange->application_open) return;
  std::erase_if(fields,
                [](const Header& field) { return !MayBeTrailer(field.name); });
  exchange->up_trailers = std::move(fields);
  application_->Resume(exchange->application);
}

void StreamGateway::TakeFromClient(int32_t id, Exchange* exchange,
                                   base::ByteSpan bytes) {
  if (exchange != nullptr && exchange->application_open) {
    exchange->up.Add(bytes);
    Touch(exchange);
    return application_->Resume(exchange->application);
  }
  client_->Consume(id, bytes.size());
  if (exchange == nullptr) return;
  exchange->drained += bytes.size();
  if (exchange->drained > kMaxDrained) {
    // Behind a whole answer it does no harm to that (RFC 9113 section 8.1).
    const bool whole = exchange->response_ended && exchange->down.size() == 0;
    client_->Reset(id, whole ? error_code::kNoError : error_code::kCancel);
  }
}

void StreamGateway::TakeAnswer(Exchange* exchange, StreamHead head) {
  if (!exchange->client_open || exchange->own) return;
  if (head.large) return Fail(exchange, error_code::kInternalError);
  bool done = true;
  switch (head.kind) {
    case StreamHead::Kind::kInterim:
      done = client_->Interim(exchange->client, head.fields);
      break;
    case StreamHead::Kind::kResponse:
      exchange->answered = true;
      exchange->response_ended = head.ends;
      done = client_->Respond(exchange->client, head.fields, head.ends);
      break;
    case StreamHead::Kind::kTrailers:
      exchange->response_ended = true;
      exchange->down_trailers = std::move(head.fields);
      client_->Resume(exchange->client);
      break;
    case StreamHead::Kind::kRequest:
      break;
  }
  if (!done) Fail(exchange, error_code::kInternalError);
}

// Ends what the client hears of it; the application is told when that is done.
void StreamGateway::Fail(Exchange* exchange, uint32_t code) {
  client_->Reset(exchange->client, code);
  DropDown(exchange);
}

void StreamGateway::ClientClosed(Exchange* exchange, uint32_t code) {
  exchange->client_open = false;
  sweep_ = true;
  if (!exchange->answered && code != error_code::kNoError) {
    client_->NoteWaste();
  }
  DropDown(exchange);
  // The application may still want the rest of a request that it has answered.
  const bool whole = code == error_code::kNoError && exchange->request_ended &&
                     exchange->response_ended;
  if (!exchange->application_open || whole) return;
  DropUp(exchange);
  application_->Reset(exchange->application, Translate(code));
}

void StreamGateway::ApplicationClosed(Exchange* exchange, uint32_t code) {
  exchange->application_open = false;
  sweep_ = true;
  DropUp(exchange);
  if (!exchange->client_open || exchange->response_ended) return;
  // What the application never saw may be asked of another.
  if (!exchange->sent) code = error_code::kRefusedStream;
  Fail(exchange, code == error_code::kProtocolError ? error_code::kInternalError
                                                    : Translate(code));
}

void StreamGateway::DropUp(Exchange* exchange) {
  const size_t size = exchange->up.size();
  held_ -= exchange->up.held();
  exchange->up.Clear();
  if (size > 0) client_->Consume(exchange->client, size);
}

void StreamGateway::DropDown(Exchange* exchange) {
  const size_t size = exchange->down.size();
  held_ -= exchange->down.held();
  exchange->down.Clear();
  if (size > 0 && !exchange->own && !application_over_) {
    application_->Consume(exchange->application, size);
  }
}

void StreamGateway::Sweep() {
  if (!std::exchange(sweep_, false)) return;
  const auto over = [](const Exchange* exchange) {
    return !exchange->client_open && !exchange->application_open;
  };
  std::erase_if(touched_, over);
  std::erase_if(exchanges_, [&](const std::unique_ptr<Exchange>& exchange) {
    return over(exchange.get());
  });
}

void StreamGateway::ClientEnded() {
  if (std::exchange(client_ended_, true)) return;
  for (const auto& exchange : exchanges_) {
    if (!exchange->client_open || exchange->request_ended) continue;
    client_->Reset(exchange->client, error_code::kCancel);
    if (!exchange->application_open) continue;
    DropUp(exchange.get());
    application_->Reset(exchange->application, error_code::kCancel);
  }
}

void StreamGateway::ApplicationEnded() {
  if (std::exchange(application_over_, true)) return;
  for (const auto& exchange : exchanges_) {
    if (!std::exchange(exchange->application_open, false)) continue;
    DropUp(exchange.get());
    if (!exchange->client_open || exchange->response_ended) continue;
    if (!exchange->sent) {
      client_->Reset(exchange->client, error_code::kRefusedStream);
    } else if (exchange->answered) {
      Fail(exchange.get(), error_code::kInternalError);
    } else {
      Reply(exchange.get(), 503, kGone);
    }
  }
  if (!std::exchange(goaway_, true)) client_->Goaway();
  sweep_ = true;
}

}  // namespace nodeward::http
