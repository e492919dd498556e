// SPDX-License-Identifier: Apache-2.0
#include "http/link.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/handle.h"
#include "base/text.h"

namespace nodeward::http {
namespace {

using OptionHandle = base::Handle<nghttp2_option, nghttp2_option_del>;
using CallbacksHandle =
    base::Handle<nghttp2_session_callbacks, nghttp2_session_callbacks_del>;

constexpr size_t kFrameHeader = 9;
// RFC 7541 4.1 counts so much for each entry.
constexpr size_t kFieldCost = 32;
// With less room a DATA frame waits for the next.
constexpr size_t kLeastPayload = 1024;

base::Status Nghttp2Status(int code, std::string_view what) {
  return absl::InternalError(base::StrCat(what, ": ", nghttp2_strerror(code)));
}

std::string_view Text(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// Names and values are copied when they are submitted.
std::vector<nghttp2_nv> Fields(std::span<const Header> headers) {
  std::vector<nghttp2_nv> fields;
  fields.reserve(headers.size());
  for (const Header& header : headers) {
    fields.push_back(
        {reinterpret_cast<uint8_t*>(const_cast<char*>(header.name.data())),
         reinterpret_cast<uint8_t*>(const_cast<char*>(header.value.data())),
         header.name.size(), header.value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return fields;
}

size_t CostOf(std::span<const Header> headers) {
  size_t cost = 0;
  for (const Header& header : headers) {
    cost += header.name.size() + header.value.size() + kFieldCost;
  }
  return cost;
}

size_t CostOf(const nghttp2_headers& headers) {
  size_t cost = 0;
  for (size_t i = 0; i < headers.nvlen; ++i) {
    cost += headers.nva[i].namelen + headers.nva[i].valuelen + kFieldCost;
  }
  return cost;
}

}  // namespace

// nghttp2's C callbacks; `data` is the Link.
struct Link::Callbacks {
  static Link& Of(void* data) { return *static_cast<Link*>(data); }

  static ssize_t OnSend(nghttp2_session*, const uint8_t* bytes, size_t size,
                        int, void* data) {
    Link& self = Of(data);
    const size_t left = self.room_.size() - self.filled_;
    const size_t count = std::min(size, left);
    if (count == 0) return NGHTTP2_ERR_WOULDBLOCK;
    std::memcpy(self.room_.data() + self.filled_, bytes, count);
    self.filled_ += count;
    return static_cast<ssize_t>(count);
  }

  static ssize_t OnReadLength(nghttp2_session*, uint8_t, int32_t,
                              int32_t session_window, int32_t stream_window,
                              uint32_t max_frame, void* data) {
    const Link& self = Of(data);
    const size_t left = self.room_.size() - self.filled_;
    size_t most = kMaxFrame - kFrameHeader;
    if (left >= kFrameHeader + kLeastPayload) {
      most = std::min(most, left - kFrameHeader);
    }
    return std::min({static_cast<int64_t>(session_window),
                     static_cast<int64_t>(stream_window),
                     static_cast<int64_t>(max_frame),
                     static_cast<int64_t>(most)});
  }

  // Only promises: the payload is taken when there is room for the frame.
  static ssize_t OnRead(nghttp2_session* session, int32_t id, uint8_t*,
                        size_t length, uint32_t* flags, nghttp2_data_source*,
                        void* data) {
    Link& self = Of(data);
    void* const stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream == nullptr) return NGHTTP2_ERR_DEFERRED;
    const LinkUser::Body body = self.user_->BodyOf(stream);
    if (body.ready == 0 && !body.ended) return NGHTTP2_ERR_DEFERRED;
    const size_t count = std::min(body.ready, length);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!body.ended || count < body.ready) return static_cast<ssize_t>(count);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (body.trailers == nullptr || body.trailers->empty()) {
      return static_cast<ssize_t>(count);
    }
    const auto fields = Fields(*body.trailers);
    if (!self.HasRoomFor(*body.trailers) ||
        nghttp2_submit_trailer(session, id, fields.data(), fields.size()) !=
            0) {
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    self.queued_heads_ += CostOf(*body.trailers);
    return static_cast<ssize_t>(count);
  }

  static int OnSendData(nghttp2_session* session, nghttp2_frame* frame,
                        const uint8_t* header, size_t length,
                        nghttp2_data_source*, void* data) {
    Link& self = Of(data);
    const size_t left = self.room_.size() - self.filled_;
    if (left < kFrameHeader + length) return NGHTTP2_ERR_WOULDBLOCK;
    void* const stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (stream == nullptr || self.user_->BodyOf(stream).ready < length) {
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
    }
    std::memcpy(self.room_.data() + self.filled_, header, kFrameHeader);
    self.filled_ += kFrameHeader;
    self.user_->TakeBody(stream, self.room_.subspan(self.filled_, length));
    self.filled_ += length;
    return 0;
  }

  static int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* header,
                          void* data) {
    Link& self = Of(data);
    switch (header->type) {
      case NGHTTP2_DATA:
        if (header->length > 0 ||
            (header->flags & NGHTTP2_FLAG_END_STREAM) != 0) {
          return 0;
        }
        break;
      case NGHTTP2_HEADERS:
      case NGHTTP2_RST_STREAM:  // judged by those whose stream it is
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
    return self.flood_ == nullptr ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame*,
                            void* data) {
    Link& self = Of(data);
    self.in_head_ = true;
    self.head_.clear();
    self.head_bytes_ = 0;
    return 0;
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame*,
                      const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t,
                      void* data) {
    Link& self = Of(data);
    self.head_bytes_ += name_size + value_size + kFieldCost;
    if (self.head_bytes_ > kMaxHeadBytes) {
      // The rest has to be decoded all the same: the table is shared.
      self.head_ = {};
      return 0;
    }
    self.head_.push_back({std::string(Text(name, name_size)),
                          std::string(Text(value, value_size))});
    return 0;
  }

  // nghttp2 would leave the field out and go on.
  static int OnBadHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t*,
                         size_t, const uint8_t*, size_t, uint8_t, void* data) {
    Link& self = Of(data);
    self.in_head_ = false;
    if (self.role_ == Role::kClient) return 0;
    self.user_->OnInvalid(absl::InvalidArgumentError(
        "read HTTP/2 request: a field with forbidden characters"));
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
  }

  static void OnHeaders(Link& self, nghttp2_session* session,
                        const nghttp2_frame& frame) {
    self.in_head_ = false;
    StreamHead head{};
    head.fields = std::exchange(self.head_, {});
    head.large = self.head_bytes_ > kMaxHeadBytes;
    head.ends = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    head.kind = StreamHead::Kind::kTrailers;
    if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
      head.kind = StreamHead::Kind::kRequest;
    } else if (self.role_ == Role::kClient && !head.fields.empty() &&
               head.fields[0].name == ":status") {
      head.kind = head.fields[0].value.starts_with('1')
                      ? StreamHead::Kind::kInterim
                      : StreamHead::Kind::kResponse;
    }
    self.user_->OnHead(
        frame.hd.stream_id,
        nghttp2_session_get_stream_user_data(session, frame.hd.stream_id),
        std::move(head));
  }

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame,
                     void* data) {
    Link& self = Of(data);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        OnHeaders(self, session, *frame);
        break;
      case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
          void* const stream = nghttp2_session_get_stream_user_data(
              session, frame->hd.stream_id);
          if (stream != nullptr) self.user_->OnEnd(stream);
        }
        break;
      case NGHTTP2_GOAWAY:
        self.user_->OnGoaway();
        break;
      default:
        break;
    }
    return 0;
  }

  static int OnInvalidFrame(nghttp2_session*, const nghttp2_frame* frame,
                            int error, void* data) {
    Link& self = Of(data);
    if (frame->hd.type == NGHTTP2_HEADERS) self.in_head_ = false;
    self.user_->OnInvalid(absl::InvalidArgumentError(
        base::StrCat("read HTTP/2: ", nghttp2_strerror(error))));
    return 0;
  }

  static int OnData(nghttp2_session* session, uint8_t, int32_t id,
                    const uint8_t* bytes, size_t size, void* data) {
    Of(data).user_->OnData(
        id, nghttp2_session_get_stream_user_data(session, id), {bytes, size});
    return 0;
  }

  static int OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame,
                         void* data) {
    Link& self = Of(data);
    if (frame->hd.type == NGHTTP2_GOAWAY &&
        frame->goaway.error_code != NGHTTP2_NO_ERROR && !self.dead_) {
      self.user_->OnInvalid(absl::InvalidArgumentError(
          base::StrCat("read HTTP/2: the connection breaks its rules: ",
                       nghttp2_http2_strerror(frame->goaway.error_code))));
    }
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    self.queued_heads_ -= std::min(self.queued_heads_, CostOf(frame->headers));
    void* const stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (self.role_ == Role::kClient && stream != nullptr) {
      self.user_->OnRequestSent(stream);
    }
    return 0;
  }

  static int OnFrameNotSent(nghttp2_session*, const nghttp2_frame* frame, int,
                            void* data) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    Link& self = Of(data);
    self.queued_heads_ -= std::min(self.queued_heads_, CostOf(frame->headers));
    return 0;
  }

  static int OnStreamClose(nghttp2_session* session, int32_t id, uint32_t code,
                           void* data) {
    Link& self = Of(data);
    void* const stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream != nullptr) {
      self.user_->OnClose(stream, code);
    } else if (self.role_ == Role::kServer) {
      self.NoteWaste();  // it did not even become a request
    }
    return 0;
  }
};

Link::~Link() {
  if (session_ != nullptr) nghttp2_session_del(session_);
}

base::StatusOr<std::unique_ptr<Link>> Link::Create(Role role, LinkUser* user) {
  std::unique_ptr<Link> link(new Link(role, user));
  NODEWARD_TRY(link->Configure());
  NODEWARD_TRY(link->SubmitSettings());
  return link;
}

base::Status Link::Configure() {
  nghttp2_session_callbacks* set = nullptr;
  nghttp2_option* option = nullptr;
  if (nghttp2_session_callbacks_new(&set) != 0 ||
      nghttp2_option_new(&option) != 0) {
    return absl::ResourceExhaustedError("create HTTP/2 session: no memory");
  }
  const CallbacksHandle own_set(set);
  const OptionHandle own_option(option);
  nghttp2_session_callbacks_set_send_callback(set, Callbacks::OnSend);
  nghttp2_session_callbacks_set_send_data_callback(set, Callbacks::OnSendData);
  nghttp2_session_callbacks_set_data_source_read_length_callback(
      set, Callbacks::OnReadLength);
  nghttp2_session_callbacks_set_on_begin_frame_callback(
      set, Callbacks::OnBeginFrame);
  nghttp2_session_callbacks_set_on_begin_headers_callback(
      set, Callbacks::OnBeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(set, Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_invalid_header_callback(
      set, Callbacks::OnBadHeader);
  nghttp2_session_callbacks_set_on_frame_recv_callback(set, Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
      set, Callbacks::OnInvalidFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(set,
                                                            Callbacks::OnData);
  nghttp2_session_callbacks_set_on_frame_send_callback(set,
                                                       Callbacks::OnFrameSent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(
      set, Callbacks::OnFrameNotSent);
  nghttp2_session_callbacks_set_on_stream_close_callback(
      set, Callbacks::OnStreamClose);

  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_max_settings(option, 32);
  nghttp2_option_set_max_outbound_ack(option, 256);
  // Of a head that was taken nghttp2 expects the worst encoding.
  nghttp2_option_set_max_send_header_block_length(option, 4 * kMaxHeadBytes);
  // nghttp2's own limit counts the cancelling of answers under way, too;
  // wasted_streams_ counts what a rapid reset is.
  nghttp2_option_set_stream_reset_rate_limit(option, 1u << 30, 1u << 30);

  const int made =
      role_ == Role::kClient
          ? nghttp2_session_client_new2(&session_, set, this, option)
          : nghttp2_session_server_new2(&session_, set, this, option);
  return made == 0 ? base::OkStatus()
                   : Nghttp2Status(made, "create HTTP/2 session");
}

base::Status Link::SubmitSettings() {
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeadBytes},
  };
  if (role_ == Role::kClient) {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  } else {
    settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams});
  }
  int result = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE,
                                       settings.data(), settings.size());
  if (result == 0) {
    result = nghttp2_session_set_local_window_size(
        session_, NGHTTP2_FLAG_NONE, 0,
        static_cast<int32_t>(kConnectionWindow));
  }
  return result == 0 ? base::OkStatus()
                     : Nghttp2Status(result, "submit HTTP/2 SETTINGS");
}

void Link::TakeAllowance(Allowance* allowance, const char* what) {
  if (!allowance->Take(now_) && flood_ == nullptr) flood_ = what;
}

void Link::NoteWaste() {
  TakeAllowance(&wasted_streams_, "streams reset unanswered");
}

base::Status Link::Receive(base::ByteSpan bytes, absl::Duration now) {
  if (dead_) return base::OkStatus();
  now_ = now;
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, bytes.data(), bytes.size());
  if (flood_ != nullptr) {
    Terminate(error_code::kEnhanceYourCalm);
    dead_ = true;
    return absl::ResourceExhaustedError(
        base::StrCat("receive HTTP/2: the peer floods us with ", flood_));
  }
  if (taken < 0) {
    Terminate(taken == NGHTTP2_ERR_FLOODED ? error_code::kEnhanceYourCalm
                                           : error_code::kProtocolError);
    dead_ = true;
    return Nghttp2Status(static_cast<int>(taken), "receive HTTP/2");
  }
  return base::OkStatus();
}

base::StatusOr<size_t> Link::Send(base::MutableByteSpan room) {
  room_ = room;
  filled_ = 0;
  const int result = nghttp2_session_send(session_);
  room_ = {};
  if (result == 0) return filled_;
  dead_ = true;
  return Nghttp2Status(result, "send HTTP/2");
}

bool Link::wants_send() const {
  return nghttp2_session_want_write(session_) != 0;
}

bool Link::finished() const {
  return (dead_ || nghttp2_session_want_read(session_) == 0) && !wants_send();
}

bool Link::crowded() const {
  constexpr size_t kMost = 4 * kMaxStreams;
  return nghttp2_session_get_outbound_queue_size(session_) > kMost;
}

bool Link::HasRoomFor(std::span<const Header> fields) {
  return queued_heads_ + CostOf(fields) <= kMaxHeadsQueued;
}

base::StatusOr<int32_t> Link::Request(std::span<const Header> fields, bool ends,
                                      void* stream) {
  if (!HasRoomFor(fields)) {
    return absl::ResourceExhaustedError(
        "open HTTP/2 stream: too many requests wait for the application");
  }
  const auto submitted = Fields(fields);
  nghttp2_data_provider provider{};
  provider.read_callback = Callbacks::OnRead;
  const int32_t id = nghttp2_submit_request(session_, nullptr, submitted.data(),
                                            submitted.size(),
                                            ends ? nullptr : &provider, stream);
  if (id < 0) return Nghttp2Status(id, "open HTTP/2 stream");
  queued_heads_ += CostOf(fields);
  return id;
}

bool Link::Respond(int32_t id, std::span<const Header> fields, bool ends) {
  const auto submitted = Fields(fields);
  nghttp2_data_provider provider{};
  provider.read_callback = Callbacks::OnRead;
  if (!HasRoomFor(fields) ||
      nghttp2_submit_response(session_, id, submitted.data(), submitted.size(),
                              ends ? nullptr : &provider) != 0) {
    return false;
  }
  queued_heads_ += CostOf(fields);
  return true;
}

bool Link::Interim(int32_t id, std::span<const Header> fields) {
  const auto submitted = Fields(fields);
  if (!HasRoomFor(fields) ||
      nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr,
                             submitted.data(), submitted.size(),
                             nullptr) != 0) {
    return false;
  }
  queued_heads_ += CostOf(fields);
  return true;
}

// The results below: a stream that has gone meanwhile is nothing to complain
// about, and out of memory shows at the next Send.
void Link::Name(int32_t id, void* stream) {
  nghttp2_session_set_stream_user_data(session_, id, stream);
}

void Link::Resume(int32_t id) { nghttp2_session_resume_data(session_, id); }

void Link::Reset(int32_t id, uint32_t code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, code);
}

void Link::Consume(int32_t id, size_t count) {
  nghttp2_session_consume(session_, id, count);
}

void Link::Goaway() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

void Link::Terminate(uint32_t code) {
  nghttp2_session_terminate_session(session_, code);
}

}  // namespace nodeward::http
