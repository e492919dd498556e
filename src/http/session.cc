// SPDX-License-Identifier: Apache-2.0
#include "http/session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/handle.h"
#include "base/text.h"

namespace nodeward::http {
namespace {

using OptionHandle = base::Handle<nghttp2_option, nghttp2_option_del>;
using CallbacksHandle =
    base::Handle<nghttp2_session_callbacks, nghttp2_session_callbacks_del>;

// nghttp2 keeps a buffer as large as the largest frame it was told to expect,
// though it never writes the payload there: only sessions that carry bulk get
// more than what it has at first (RFC 9113's smallest limit).
constexpr uint32_t kFirstFrame = 16 << 10;

constexpr std::array<uint8_t, 8> kDrainPing = {'d', 'r', 'a', 'i',
                                               'n', 0,   0,   0};

base::Status Nghttp2Status(int code, std::string_view what) {
  return absl::InternalError(base::StrCat(what, ": ", nghttp2_strerror(code)));
}

// Names and values are copied by nghttp2 while it encodes the headers later.
nghttp2_nv Field(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())),
          name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::vector<nghttp2_nv> Fields(std::span<const Header> headers) {
  std::vector<nghttp2_nv> fields;
  fields.reserve(headers.size() + 2);
  for (const Header& header : headers) {
    fields.push_back(Field(header.name, header.value));
  }
  return fields;
}

std::string_view Text(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

// nghttp2's C callbacks; `data` is the Session.
struct Session::Callbacks {
  static Session& Of(void* data) { return *static_cast<Session*>(data); }

  static ssize_t OnSend(nghttp2_session*, const uint8_t* bytes, size_t size,
                        int, void* data) {
    Session& self = Of(data);
    if (self.full_) return NGHTTP2_ERR_WOULDBLOCK;
    self.full_ = !self.user_->Write({bytes, size});
    return static_cast<ssize_t>(size);
  }

  static ssize_t OnReadLength(nghttp2_session*, uint8_t, int32_t,
                              int32_t session_window, int32_t stream_window,
                              uint32_t max_frame, void* data) {
    const Session& self = Of(data);
    return std::min({static_cast<int64_t>(session_window),
                     static_cast<int64_t>(stream_window),
                     static_cast<int64_t>(max_frame),
                     static_cast<int64_t>(self.frame_room_)});
  }

  static ssize_t OnRead(nghttp2_session*, int32_t id, uint8_t*, size_t length,
                        uint32_t* flags, nghttp2_data_source*, void* data) {
    Session& self = Of(data);
    Stream* stream = self.Find(id);
    if (stream == nullptr || stream->user == nullptr) {
      return NGHTTP2_ERR_DEFERRED;
    }
    base::MutableByteSpan room = self.user_->PullRoom();
    room = room.first(std::min(room.size(), length));
    const Pulled pulled = stream->user->Pull(room);
    switch (pulled.kind) {
      case Pulled::Kind::kLater:
        return NGHTTP2_ERR_DEFERRED;
      case Pulled::Kind::kEnd:
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_COPY;
        self.pulled_ = room.first(0);
        return 0;
      case Pulled::Kind::kBytes:
        break;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    self.pulled_ = room.first(pulled.count);
    if (pulled.count == length) self.frame_room_ = self.options_.max_frame;
    return static_cast<ssize_t>(pulled.count);
  }

  static int OnSendData(nghttp2_session*, nghttp2_frame*, const uint8_t* header,
                        size_t length, nghttp2_data_source*, void* data) {
    Session& self = Of(data);
    // PullRoom promised this much before the payload.
    uint8_t* const frame =
        const_cast<uint8_t*>(self.pulled_.data()) - kFrameHeader;
    std::memcpy(frame, header, kFrameHeader);
    self.full_ = !self.user_->Write({frame, kFrameHeader + length});
    return self.full_ ? NGHTTP2_ERR_PAUSE : 0;
  }

  static int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* header,
                          void* data) {
    Session& self = Of(data);
    switch (header->type) {
      case NGHTTP2_DATA:
        if (header->length > 0 ||
            (header->flags & NGHTTP2_FLAG_END_STREAM) != 0) {
          return 0;
        }
        break;
      case NGHTTP2_HEADERS:
      case NGHTTP2_RST_STREAM:  // judged in OnStreamClose
      case NGHTTP2_GOAWAY:
      case NGHTTP2_WINDOW_UPDATE:  // as many as the data it answers
        return 0;
      case NGHTTP2_PING:
      case NGHTTP2_SETTINGS:
        if ((header->flags & NGHTTP2_FLAG_ACK) != 0) return 0;
        break;
      default:
        break;
    }
    self.TakeAllowance(&self.control_frames_, "control frames");
    return self.flood_.empty() ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame,
                            void* data) {
    Session& self = Of(data);
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      auto stream = std::make_unique<Stream>();
      stream->request = std::make_unique<Request>();
      self.streams_[frame->hd.stream_id] = std::move(stream);
    }
    return 0;
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame,
                      const uint8_t* name_bytes, size_t name_size,
                      const uint8_t* value_bytes, size_t value_size, uint8_t,
                      void* data) {
    Session& self = Of(data);
    Stream* stream = self.Find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    // RFC 7541 4.1 counts 32 bytes for each entry.
    stream->header_bytes += name_size + value_size + 32;
    if (stream->header_bytes > self.options_.max_header_bytes) {
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
    }
    const std::string_view name = Text(name_bytes, name_size);
    const std::string_view value = Text(value_bytes, value_size);
    if (self.role_ == Role::kClient) {
      if (name == ":status") {
        std::from_chars(value.data(), value.data() + value.size(),
                        stream->status);
      }
      return 0;
    }
    if (stream->request == nullptr) return 0;  // trailers
    if (name == ":method") {
      stream->request->method = value;
    } else if (name == ":authority") {
      stream->request->authority = value;
    } else if (!name.starts_with(':')) {
      stream->request->headers.push_back(
          {std::string(name), std::string(value)});
    }
    return 0;
  }

  static void OnHeaders(Session& self, const nghttp2_frame& frame) {
    Stream* stream = self.Find(frame.hd.stream_id);
    if (stream == nullptr) return;
    if (self.role_ == Role::kServer) {
      if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) return;
      const auto request = std::exchange(stream->request, nullptr);
      self.user_->OnRequest(frame.hd.stream_id, std::move(*request));
      return;
    }
    // 1xx: the final response is still to come.
    if (stream->answered || stream->status / 100 == 1) return;
    stream->answered = true;
    if (stream->user != nullptr) stream->user->OnResponse(stream->status);
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* data) {
    Session& self = Of(data);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        OnHeaders(self, *frame);
        break;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
          self.user_->OnSettings();
        }
        break;
      case NGHTTP2_GOAWAY:
        self.user_->OnGoaway(frame->goaway.last_stream_id,
                             frame->goaway.error_code);
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && self.draining_ &&
            std::memcmp(frame->ping.opaque_data, kDrainPing.data(),
                        kDrainPing.size()) == 0) {
          nghttp2_submit_goaway(
              self.session_, NGHTTP2_FLAG_NONE,
              nghttp2_session_get_last_proc_stream_id(self.session_),
              NGHTTP2_NO_ERROR, nullptr, 0);
        }
        break;
      default:
        break;
    }
    const bool ends =
        (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (ends) {
      Stream* stream = self.Find(frame->hd.stream_id);
      if (stream != nullptr && stream->user != nullptr) stream->user->OnEnd();
    }
    return 0;
  }

  static int OnData(nghttp2_session* session, uint8_t, int32_t id,
                    const uint8_t* bytes, size_t size, void* data) {
    Session& self = Of(data);
    Stream* stream = self.Find(id);
    if (stream == nullptr || stream->user == nullptr) {
      nghttp2_session_consume(session, id, size);
      return 0;
    }
    stream->user->OnData({bytes, size});
    return 0;
  }

  static int OnStreamClose(nghttp2_session*, int32_t id, uint32_t code,
                           void* data) {
    Session& self = Of(data);
    auto node = self.streams_.extract(id);
    if (node.empty()) return 0;
    const Stream& stream = *node.mapped();
    if (self.role_ == Role::kServer && !stream.answered &&
        code != NGHTTP2_NO_ERROR) {
      self.TakeAllowance(&self.early_resets_, "streams reset unanswered");
    }
    if (stream.user != nullptr) stream.user->OnClose(code);
    return 0;
  }
};

Session::Session(Role role, Options options, SessionUser* user)
    : role_(role),
      options_(options),
      user_(user),
      frame_room_(std::min(options.max_frame, kFirstFrame)) {}

Session::~Session() {
  if (session_ != nullptr) nghttp2_session_del(session_);
}

base::StatusOr<std::unique_ptr<Session>> Session::Create(Role role,
                                                         Options options,
                                                         SessionUser* user) {
  std::unique_ptr<Session> session(new Session(role, options, user));
  NODEWARD_TRY(session->Configure());
  return session;
}

base::Status Session::Configure() {
  nghttp2_session_callbacks* raw_callbacks = nullptr;
  nghttp2_option* raw_option = nullptr;
  if (nghttp2_session_callbacks_new(&raw_callbacks) != 0 ||
      nghttp2_option_new(&raw_option) != 0) {
    return absl::ResourceExhaustedError("create HTTP/2 session: no memory");
  }
  const CallbacksHandle callbacks(raw_callbacks);
  const OptionHandle option(raw_option);
  nghttp2_session_callbacks_set_send_callback(raw_callbacks, Callbacks::OnSend);
  nghttp2_session_callbacks_set_send_data_callback(raw_callbacks,
                                                   Callbacks::OnSendData);
  nghttp2_session_callbacks_set_data_source_read_length_callback(
      raw_callbacks, Callbacks::OnReadLength);
  nghttp2_session_callbacks_set_on_begin_frame_callback(
      raw_callbacks, Callbacks::OnBeginFrame);
  nghttp2_session_callbacks_set_on_begin_headers_callback(
      raw_callbacks, Callbacks::OnBeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(raw_callbacks,
                                                   Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_frame_recv_callback(raw_callbacks,
                                                       Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(raw_callbacks,
                                                            Callbacks::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(
      raw_callbacks, Callbacks::OnStreamClose);

  nghttp2_option_set_no_auto_window_update(raw_option, 1);
  nghttp2_option_set_no_closed_streams(raw_option, 1);
  nghttp2_option_set_max_settings(raw_option, 32);
  nghttp2_option_set_max_outbound_ack(raw_option, 256);
  // nghttp2's own limit counts the resets of established tunnels too: a client
  // that aborts 33 connections a second would lose all the others. Ours
  // (early_resets_) counts what a rapid reset is.
  nghttp2_option_set_stream_reset_rate_limit(raw_option, 1u << 30, 1u << 30);

  const int made = role_ == Role::kClient
                       ? nghttp2_session_client_new2(&session_, raw_callbacks,
                                                     this, raw_option)
                       : nghttp2_session_server_new2(&session_, raw_callbacks,
                                                     this, raw_option);
  if (made != 0) return Nghttp2Status(made, "create HTTP/2 session");

  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options_.stream_window},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, options_.max_frame},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<uint32_t>(options_.max_header_bytes)},
  };
  if (role_ == Role::kClient) {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  } else {
    settings.push_back(
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options_.max_streams});
  }
  int result = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE,
                                       settings.data(), settings.size());
  if (result == 0) {
    result = nghttp2_session_set_local_window_size(
        session_, NGHTTP2_FLAG_NONE, 0,
        static_cast<int32_t>(options_.connection_window));
  }
  return result == 0 ? base::OkStatus()
                     : Nghttp2Status(result, "submit HTTP/2 SETTINGS");
}

Session::Stream* Session::Find(int32_t stream) {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? nullptr : found->second.get();
}

void Session::TakeAllowance(Allowance* allowance, std::string_view what) {
  if (!allowance->Take(now_) && flood_.empty()) flood_ = what;
}

base::Status Session::Receive(base::ByteSpan bytes, absl::Duration now) {
  now_ = now;
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, bytes.data(), bytes.size());
  if (!flood_.empty()) {
    Terminate(error_code::kEnhanceYourCalm);
    return absl::ResourceExhaustedError(
        base::StrCat("receive HTTP/2: the peer floods us with ", flood_));
  }
  if (taken < 0) {
    return Nghttp2Status(static_cast<int>(taken), "receive HTTP/2");
  }
  return base::OkStatus();
}

base::Status Session::Send() {
  full_ = false;
  const int result = nghttp2_session_send(session_);
  return result == 0 ? base::OkStatus() : Nghttp2Status(result, "send HTTP/2");
}

bool Session::wants_send() const {
  return nghttp2_session_want_write(session_) != 0;
}

bool Session::finished() const {
  return nghttp2_session_want_read(session_) == 0 &&
         nghttp2_session_want_write(session_) == 0;
}

base::StatusOr<int32_t> Session::Connect(std::string_view authority,
                                         std::span<const Header> headers,
                                         StreamUser* user) {
  std::vector<nghttp2_nv> fields = Fields(headers);
  fields.insert(fields.begin(),
                {Field(":method", "CONNECT"), Field(":authority", authority)});
  nghttp2_data_provider provider{};
  provider.read_callback = Callbacks::OnRead;
  const int32_t id = nghttp2_submit_request(session_, nullptr, fields.data(),
                                            fields.size(), &provider, nullptr);
  if (id < 0) return Nghttp2Status(id, "open CONNECT stream");
  auto stream = std::make_unique<Stream>();
  stream->user = user;
  streams_[id] = std::move(stream);
  return id;
}

void Session::Accept(int32_t id, std::span<const Header> headers,
                     StreamUser* user) {
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  stream->user = user;
  stream->answered = true;
  std::vector<nghttp2_nv> fields = Fields(headers);
  fields.insert(fields.begin(), Field(":status", "200"));
  nghttp2_data_provider provider{};
  provider.read_callback = Callbacks::OnRead;
  if (nghttp2_submit_response(session_, id, fields.data(), fields.size(),
                              &provider) != 0) {
    Reset(id, error_code::kInternalError);
  }
}

void Session::Watch(int32_t id, StreamUser* user) {
  Stream* stream = Find(id);
  if (stream != nullptr) stream->user = user;
}

void Session::Refuse(int32_t id, int status) {
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  stream->user = nullptr;
  stream->answered = true;
  const std::string text = base::StrCat(status);
  const nghttp2_nv field = Field(":status", text);
  if (nghttp2_submit_response(session_, id, &field, 1, nullptr) != 0) {
    Reset(id, error_code::kInternalError);
  }
}

// The results below: a stream that has gone meanwhile is nothing to complain
// about, and out of memory shows at the next Send.
void Session::Resume(int32_t stream) {
  nghttp2_session_resume_data(session_, stream);
}

void Session::Consume(int32_t stream, size_t count) {
  nghttp2_session_consume_stream(session_, stream, count);
}

void Session::ConsumeConnection(size_t count) {
  nghttp2_session_consume_connection(session_, count);
}

void Session::Reset(int32_t stream, uint32_t code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, code);
}

void Session::Forget(int32_t id) {
  Stream* stream = Find(id);
  if (stream != nullptr) stream->user = nullptr;
}

void Session::Abandon(uint32_t code) {
  auto streams = std::exchange(streams_, {});
  for (auto& [id, stream] : streams) {
    if (stream->user != nullptr) stream->user->OnClose(code);
  }
}

void Session::Ping() {
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
}

void Session::GoawayGracefully() {
  if (std::exchange(draining_, true)) return;
  if (role_ == Role::kServer) {
    nghttp2_submit_shutdown_notice(session_);
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kDrainPing.data());
  } else {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR,
                          nullptr, 0);
  }
}

void Session::Terminate(uint32_t code) {
  nghttp2_session_terminate_session(session_, code);
}

uint32_t Session::max_streams() const {
  return nghttp2_session_get_remote_settings(
      session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

}  // namespace nodeward::http
