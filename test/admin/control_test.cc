// SPDX-License-Identifier: Apache-2.0
#include "admin/control.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "admin/temp_dir_fixture.h"
#include "base/text.h"

namespace nodeward::admin {
namespace {

using base::Json;
using ::testing::HasSubstr;

// Runs a server on a loop of its own thread.
class ControlTest : public ::testing::Test {
 protected:
  void StartServer(absl::Duration deadline = absl::Minutes(3)) {
    auto loop = io::Loop::Create();
    ASSERT_TRUE(loop.ok());
    loop_ = *std::move(loop);
    ControlServer::Options options;
    options.deadline = deadline;
    auto server = ControlServer::Listen(*loop_, socket_path(), options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->Handle("echo", [](const Json& args) -> base::StatusOr<Json> {
      return Json{{"echo", args}};
    });
    server_->Handle("fail", [](const Json&) -> base::StatusOr<Json> {
      return absl::InternalError("it went wrong");
    });
    server_->Handle("big", [](const Json& args) -> base::StatusOr<Json> {
      return Json(
          std::string(static_cast<size_t>(base::GetInt(args, "bytes")), 'x'));
    });
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~ControlTest() override { StopServer(); }
  void StopServer() {
    if (!thread_.joinable()) return;
    loop_->Stop();
    thread_.join();
    server_.reset();
  }

  std::string socket_path() const { return temp_.path() + "/control.sock"; }

  base::StatusOr<Json> Ask(const std::string& command, const Json& args) {
    return AskAgent(temp_.path(), command, args, absl::Minutes(3));
  }
  std::string Error(const std::string& command,
                    const Json& args = Json::object()) {
    return std::string(Ask(command, args).status().message());
  }

  // A raw connection.
  base::Fd Connect() {
    base::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, socket_path().c_str());
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
                sizeof(address)) != 0) {
      fd.Reset();
    }
    return fd;
  }
  // Everything until the end.
  static std::string ReadAll(int fd) {
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) {
      all.append(buffer, static_cast<size_t>(n));
    }
    return all;
  }
  static void Send(int fd, const std::string& text) {
    size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t n =
          send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
    }
  }

  TempDir temp_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<ControlServer> server_;
  std::thread thread_;
};

TEST_F(ControlTest, ACommandGetsItsResult) {
  StartServer();
  const auto result = Ask("echo", {{"a", 1}, {"b", "zwei √"}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->dump(), R"({"echo":{"a":1,"b":"zwei √"}})");
}

TEST_F(ControlTest, ErrorsReachTheCaller) {
  StartServer();
  EXPECT_EQ(Error("fail"), "it went wrong");
  EXPECT_THAT(Error("nonsense"), HasSubstr("unknown command 'nonsense'"));
}

TEST_F(ControlTest, TheSocketIsPrivateAndGoesWithTheServer) {
  StartServer();
  EXPECT_EQ(ModeOf(socket_path()), 0600);
  StopServer();
  EXPECT_EQ(ModeOf(socket_path()), -1);
}

TEST_F(ControlTest, ASocketLeftBehindIsNoObstacle) {
  {
    base::Fd fd(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, socket_path().c_str());
    ASSERT_EQ(
        bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)),
        0);
  }
  EXPECT_THAT(Error("echo"), HasSubstr("nobody listens at"));
  StartServer();
  EXPECT_TRUE(Ask("echo", {}).ok());
}

TEST_F(ControlTest, AnotherFileInTheWayIsNotRemoved) {
  std::ofstream(socket_path()) << "precious";
  auto loop = io::Loop::Create();
  ASSERT_TRUE(loop.ok());
  const auto server = ControlServer::Listen(**loop, socket_path());
  EXPECT_THAT(std::string(server.status().message()),
              HasSubstr("something that is no socket"));
  EXPECT_NE(ModeOf(socket_path()), -1);
}

TEST_F(ControlTest, NoAgentSaysHowToFindIt) {
  EXPECT_EQ(Error("echo"),
            base::StrCat("agent is not running? no socket at ", socket_path(),
                         "; use --run-dir or NODEWARD_RUN_DIR"));
}

TEST_F(ControlTest, APathTooLongForASocketIsSaid) {
  const std::string path = temp_.path() + "/" + std::string(120, 'x');
  EXPECT_THAT(std::string(AskAgent(path, "echo", {}).status().message()),
              HasSubstr("too long"));
  auto loop = io::Loop::Create();
  ASSERT_TRUE(loop.ok());
  EXPECT_THAT(
      std::string(ControlServer::Listen(**loop, path).status().message()),
      HasSubstr("too long"));
}

TEST_F(ControlTest, ARequestThatIsNoJsonIsRefused) {
  StartServer();
  const base::Fd fd = Connect();
  ASSERT_TRUE(fd.valid());
  Send(fd.get(), "hello\n");
  EXPECT_EQ(ReadAll(fd.get()),
            "{\"ok\":false,\"error\":\"the request is no JSON object\"}\n");
}

TEST_F(ControlTest, ARequestInPiecesIsPutTogether) {
  StartServer();
  const base::Fd fd = Connect();
  ASSERT_TRUE(fd.valid());
  for (const char c : std::string("{\"command\":\"echo\",\"args\":7}\n")) {
    Send(fd.get(), std::string(1, c));
  }
  EXPECT_EQ(ReadAll(fd.get()), "{\"ok\":true,\"result\":{\"echo\":7}}\n");
}

TEST_F(ControlTest, ATooLargeRequestIsRefused) {
  StartServer();
  const base::Fd fd = Connect();
  ASSERT_TRUE(fd.valid());
  Send(fd.get(), std::string(ControlServer::kMaxRequestBytes + 5000, 'x'));
  EXPECT_THAT(ReadAll(fd.get()), HasSubstr("bytes refused"));
  EXPECT_TRUE(Ask("echo", {}).ok());
}

TEST_F(ControlTest, ASlowClientIsCutOffAndDelaysNobody) {
  StartServer(absl::Seconds(2));
  const base::Fd slow = Connect();
  ASSERT_TRUE(slow.valid());
  Send(slow.get(), "{\"command\":");
  EXPECT_TRUE(Ask("echo", {}).ok());
  EXPECT_EQ(ReadAll(slow.get()), "");
}

TEST_F(ControlTest, AClientThatDoesNotReadItsReplyIsCutOff) {
  StartServer(absl::Seconds(2));
  const base::Fd slow = Connect();
  ASSERT_TRUE(slow.valid());
  Send(slow.get(), "{\"command\":\"big\",\"args\":{\"bytes\":8000000}}\n");
  EXPECT_TRUE(Ask("echo", {}).ok());
  // The end shows without taking anything out of the queue.
  char byte;
  while (recv(slow.get(), &byte, 1, MSG_PEEK) > 0 &&
         send(slow.get(), "x", 1, MSG_NOSIGNAL) == 1) {
  }
  EXPECT_LT(ReadAll(slow.get()).size(), 8000000u);
}

TEST_F(ControlTest, ALargeReplyArrivesWhole) {
  StartServer();
  const auto result = Ask("big", {{"bytes", 5000000}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->get<std::string>().size(), 5000000u);
}

TEST_F(ControlTest, AReplyBeyondTheBoundIsAnError) {
  StartServer();
  EXPECT_THAT(Error("big", {{"bytes", ControlServer::kMaxReplyBytes}}),
              HasSubstr("too large"));
}

TEST_F(ControlTest, ClientsAreBounded) {
  StartServer();
  std::vector<base::Fd> idle;
  for (size_t i = 0; i < ControlServer::kMaxClients; ++i) {
    idle.push_back(Connect());
    ASSERT_TRUE(idle.back().valid());
  }
  EXPECT_THAT(Error("echo"), HasSubstr("too many clients at once"));
  idle.clear();
  // The server learns of their end on its own time.
  while (!Ask("echo", {}).ok()) std::this_thread::yield();
}

TEST_F(ControlTest, AnotherUserIsRefusedByItsCredentials) {
  StartServer();
  // Open the file's own gates, so that SO_PEERCRED alone stands in the way.
  ASSERT_EQ(chmod(temp_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(socket_path().c_str(), 0666), 0);
  int report[2];
  ASSERT_EQ(pipe(report), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setresuid(65534, 65534, 65534) != 0) _exit(1);
    const std::string error = Error("echo");
    if (write(report[1], error.data(), error.size()) < 0) _exit(1);
    _exit(0);
  }
  close(report[1]);
  EXPECT_EQ(ReadAll(report[0]), "only root and the agent's own user may ask");
  close(report[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(ControlTest, TheFilesModeKeepsOtherUsersOut) {
  StartServer();
  ASSERT_EQ(chmod(temp_.path().c_str(), 0755), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setresuid(65534, 65534, 65534) != 0) _exit(1);
    _exit(absl::IsPermissionDenied(Ask("echo", {}).status()) ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

// --- streams -----------------------------------------------------------------

// Numbers its lines, for as long as it is asked; `at_once` at a time.
class Counting final : public LineSource {
 public:
  Counting(int64_t at_once, std::atomic<int>* alive)
      : at_once_(at_once), alive_(alive) {
    ++*alive_;
  }
  ~Counting() override { --*alive_; }
  void Fill(std::string* out) override {
    if (stopped_ && left_-- <= 0) return;
    for (int64_t i = 0; i < at_once_; ++i) {
      *out += base::StrCat("{\"line\":", next_++, "}\n");
    }
  }
  void Stop() override { stopped_ = true; }
  std::string LastLine() override {
    return base::StrCat("{\"last\":", next_, "}\n");
  }

 private:
  const int64_t at_once_;
  std::atomic<int>* const alive_;
  int64_t next_ = 0;
  int left_ = 2;  // what is still given after Stop
  bool stopped_ = false;
};

class ControlStreamTest : public ControlTest {
 protected:
  void Start(absl::Duration deadline = absl::Minutes(3)) {
    StartServer(deadline);
    loop_->Post([this] {
      server_->HandleStream(
          "count",
          [this](
              const Json& args) -> base::StatusOr<std::unique_ptr<LineSource>> {
            const int64_t at_once = base::GetInt(args, "at_once");
            if (at_once < 0) return absl::InvalidArgumentError("no such thing");
            return std::make_unique<Counting>(at_once, &alive_);
          });
    });
  }
  base::Status Follow(int64_t at_once, int stop_fd,
                      const std::function<bool(const Json&)>& line) {
    return FollowAgent(temp_.path(), "count", {{"at_once", at_once}}, stop_fd,
                       line);
  }
  void AwaitNone() {
    while (alive_ > 0) std::this_thread::yield();
  }

  std::atomic<int> alive_{0};
};

TEST_F(ControlStreamTest, LinesComeUntilTheyAreNotWanted) {
  Start();
  int64_t seen = 0;
  const base::Status status = Follow(3, -1, [&](const Json& line) {
    EXPECT_EQ(base::GetInt(line, "line", -1), seen);
    return ++seen < 20;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, 20);
  AwaitNone();
}

TEST_F(ControlStreamTest, ItLastsLongerThanAnAnswerMay) {
  Start(absl::Seconds(4));
  const absl::Time begin = absl::Now();
  const base::Status status = Follow(1, -1, [&](const Json&) {
    return absl::Now() - begin < absl::Seconds(5);
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(ControlStreamTest, WhoStopsHearsTheRestAndTheLastLine) {
  Start();
  int stop[2];
  ASSERT_EQ(pipe(stop), 0);
  int64_t seen = 0;
  int64_t last = -1;
  const base::Status status = Follow(3, stop[0], [&](const Json& line) {
    last = base::GetInt(line, "last", -1);
    if (last >= 0) return false;
    if (++seen == 5) close(stop[1]);  // readable
    return true;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(last, seen);
  close(stop[0]);
  AwaitNone();
}

TEST_F(ControlStreamTest, ARefusalIsAnError) {
  Start();
  const base::Status status = Follow(-1, -1, [](const Json&) { return true; });
  EXPECT_EQ(status.message(), "no such thing");
  EXPECT_THAT(std::string(FollowAgent(temp_.path(), "other", {}, -1,
                                      [](const Json&) { return true; })
                              .message()),
              HasSubstr("unknown command 'other'"));
}

TEST_F(ControlStreamTest, TheAgentsEndIsAnError) {
  Start();
  std::thread stopper;
  const base::Status status = Follow(1, -1, [&](const Json&) {
    if (!stopper.joinable()) stopper = std::thread([this] { StopServer(); });
    return true;
  });
  stopper.join();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(status.message(), "the agent has ended");
}

TEST_F(ControlStreamTest, WhoDoesNotReadHoldsNothingUp) {
  Start();
  base::Fd asleep = Connect();
  ASSERT_TRUE(asleep.valid());
  Send(asleep.get(), "{\"command\":\"count\",\"args\":{\"at_once\":5000}}\n");
  while (alive_ == 0) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(Ask("echo", {}).ok());
  asleep.Reset();
  AwaitNone();
}

TEST_F(ControlStreamTest, WhoStopsAndDoesNotReadIsCutOff) {
  Start(absl::Seconds(4));
  const base::Fd asleep = Connect();
  ASSERT_TRUE(asleep.valid());
  Send(asleep.get(), "{\"command\":\"count\",\"args\":{\"at_once\":50000}}\n");
  while (alive_ == 0) std::this_thread::yield();
  shutdown(asleep.get(), SHUT_WR);
  AwaitNone();
}

TEST_F(ControlTest, AConnectionIsGivenAwayWhole) {
  StartServer();
  loop_->Post([this] {
    server_->HandleConnection("mine", [](base::Fd fd, const Json& args) {
      const std::string text = "got " + args.dump();
      EXPECT_EQ(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(text.size()));
    });
  });
  // Commands come in turn: what was posted before has been done.
  EXPECT_TRUE(Ask("echo", Json::object()).ok());
  const base::Fd fd = Connect();
  Send(fd.get(), "{\"command\":\"mine\",\"args\":[7]}\n");
  EXPECT_EQ(ReadAll(fd.get()), "got [7]");
  EXPECT_TRUE(Ask("echo", Json::object()).ok());
  EXPECT_THAT(Error("other"), HasSubstr("unknown command"));
}

TEST_F(ControlTest, TheSocketIsHandedOver) {
  StartServer();
  base::Fd twice(fcntl(server_->listener(), F_DUPFD_CLOEXEC, 0));
  server_->LeaveSocket();
  StopServer();
  const base::Fd waiting = Connect();
  ASSERT_TRUE(waiting.valid());
  auto loop = io::Loop::Create();
  ASSERT_TRUE(loop.ok());
  auto next = ControlServer::Adopt(**loop, socket_path(), std::move(twice));
  ASSERT_TRUE(next.ok()) << next.status();
  (*next)->Handle("who", [](const Json&) -> base::StatusOr<Json> {
    return Json("the next");
  });
  std::thread thread([&] { (*loop)->Run(); });
  Send(waiting.get(), "{\"command\":\"who\"}\n");
  EXPECT_THAT(ReadAll(waiting.get()), HasSubstr("the next"));
  (*loop)->Stop();
  thread.join();
  next->reset();
  EXPECT_NE(access(socket_path().c_str(), F_OK), 0);
}

}  // namespace
}  // namespace nodeward::admin
