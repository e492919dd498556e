// SPDX-License-Identifier: Apache-2.0
//
// HTTP/2 CONNECT tunnels in memory: framing and deframing of payload, and the
// opening of a stream in a standing tunnel.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "benchmark/benchmark.h"
#include "http/session.h"

namespace nodeward::http {
namespace {

// A stream's end that sends as many bytes as it owes and counts what comes.
class Pipe final : public StreamUser {
 public:
  explicit Pipe(Session* session) : session_(session) {}

  void OnResponse(int) override {}
  void OnData(base::ByteSpan bytes) override {
    received += bytes.size();
    session_->Consume(stream, bytes.size());
    session_->ConsumeConnection(bytes.size());
  }
  void OnEnd() override { finish = true; }
  void OnClose(uint32_t) override { closed = true; }
  Pulled Pull(base::MutableByteSpan room) override {
    if (owed == 0) {
      return {finish ? Pulled::Kind::kEnd : Pulled::Kind::kLater, 0};
    }
    size_t count = std::min(room.size(), owed);
    owed -= count;
    return {Pulled::Kind::kBytes, count};
  }

  int32_t stream = 0;
  size_t owed = 0;
  size_t received = 0;
  bool finish = false;
  bool closed = false;

 private:
  Session* session_;
};

class Side final : public SessionUser {
 public:
  explicit Side(Role role) {
    auto made = Session::Create(role, {}, this);
    if (!made.ok()) std::abort();
    session = *std::move(made);
    out.reserve(1 << 20);
  }

  void OnRequest(int32_t stream, Request) override {
    std::erase_if(pipes,
                  [](const auto& entry) { return entry.second->closed; });
    auto& pipe = pipes[stream] = std::make_unique<Pipe>(session.get());
    pipe->stream = stream;
    session->Accept(stream, {}, pipe.get());
  }
  void OnGoaway(int32_t, uint32_t) override {}
  void OnSettings() override {}
  base::MutableByteSpan PullRoom() override {
    return base::MutableByteSpan(scratch).subspan(Session::kFrameHeader);
  }
  bool Write(base::ByteSpan frame) override {
    out.insert(out.end(), frame.begin(), frame.end());
    return true;
  }

  std::unique_ptr<Session> session;
  std::map<int32_t, std::unique_ptr<Pipe>> pipes;
  std::vector<uint8_t> scratch =
      std::vector<uint8_t>(Session::kFrameHeader + (64 << 10));
  std::vector<uint8_t> out;
};

// Carries bytes both ways until neither side has any; false after an error.
bool Exchange(Side& client, Side& server) {
  for (;;) {
    if (!client.session->Send().ok() || !server.session->Send().ok()) {
      return false;
    }
    if (client.out.empty() && server.out.empty()) return true;
    // The time moves on, so that no allowance against floods runs dry.
    static absl::Duration now;
    now += absl::Milliseconds(20);
    if (!server.session->Receive(client.out, now).ok()) return false;
    client.out.clear();
    if (!client.session->Receive(server.out, now).ok()) return false;
    server.out.clear();
  }
}

bool Open(Side& client, Pipe& pipe) {
  auto stream = client.session->Connect("10.0.0.1:80", {}, &pipe);
  if (!stream.ok()) return false;
  pipe.stream = *stream;
  return true;
}

// One write of the given size on a standing stream.
void BM_Data(benchmark::State& state) {
  Side client(Role::kClient);
  Side server(Role::kServer);
  Pipe pipe(client.session.get());
  if (!Open(client, pipe) || !Exchange(client, server)) {
    state.SkipWithError("no stream");
    return;
  }
  const Pipe& end = *server.pipes.begin()->second;
  for (auto _ : state) {
    pipe.owed = static_cast<size_t>(state.range(0));
    client.session->Resume(pipe.stream);
    if (!Exchange(client, server)) {
      state.SkipWithError("exchange");
      return;
    }
  }
  if (end.received != static_cast<size_t>(state.range(0)) *
                          static_cast<size_t>(state.iterations())) {
    state.SkipWithError("bytes are missing");
  }
  state.SetBytesProcessed(static_cast<int64_t>(end.received));
}
BENCHMARK(BM_Data)->Arg(64)->Arg(1 << 10)->Arg(16 << 10)->Arg(64 << 10);

// CONNECT, 200, END_STREAM both ways.
void BM_Stream(benchmark::State& state) {
  Side client(Role::kClient);
  Side server(Role::kServer);
  for (auto _ : state) {
    Pipe pipe(client.session.get());
    if (!Open(client, pipe) || !Exchange(client, server)) {
      state.SkipWithError("no stream");
      return;
    }
    pipe.finish = true;
    client.session->Resume(pipe.stream);
    Pipe* end = server.pipes.rbegin()->second.get();
    bool carried = Exchange(client, server);
    server.session->Resume(end->stream);
    if (!carried || !Exchange(client, server) || !pipe.closed) {
      state.SkipWithError("the stream did not end");
      return;
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Stream)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace nodeward::http
