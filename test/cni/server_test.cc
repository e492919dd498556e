// SPDX-License-Identifier: Apache-2.0
#include "cni/server.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <thread>

#include "base/text.h"
#include "capture/loop_thread.h"
#include "cni/ask.h"
#include "cni/folder.h"

namespace nodeward::cni {
namespace {

using testing::HasSubstr;
using Kind = Answer::Kind;

class ServerTest : public testing::Test {
 protected:
  void Listen(absl::Duration patience = absl::Minutes(3)) {
    loop_.Do([&] {
      auto server =
          Server::Listen(loop_.loop(), path(),
                         [this](const Question& question, Server::Reply reply) {
                           asked_ = question;
                           reply_ = std::move(reply);
                           if (answer_at_once_)
                             reply_({Kind::kCaptured, question.pod});
                         },
                         {.patience = patience});
      ASSERT_TRUE(server.ok()) << server.status();
      server_ = *std::move(server);
    });
  }
  void TearDown() override {
    loop_.Do([this] { server_.reset(); });
  }
  std::string path() const { return folder_ / "cni.sock"; }
  static Question About(const std::string& pod) {
    return {.starts = true,
            .netns = "/n",
            .container_id = "c",
            .name_space = "full",
            .pod = pod,
            .uid = "u",
            .ips = {}};
  }
  base::StatusOr<Answer> Ask(absl::Duration patience = absl::Minutes(3)) {
    return AskAgent(path(), About("sleep"), patience);
  }
  bool WasAsked() {
    bool asked = false;
    loop_.Do([&] { asked = reply_ != nullptr; });
    return asked;
  }
  base::Fd Connect() {
    base::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path().c_str(), path().size());
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
    return fd;
  }
  // All that comes until the other side ends it.
  static std::string Rest(int fd) {
    std::string all;
    char buffer[256];
    for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) {
      all.append(buffer, static_cast<size_t>(n));
    }
    return all;
  }

  const Folder folder_;
  bool answer_at_once_ = true;
  Question asked_;
  Server::Reply reply_;
  capture::LoopThread loop_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, Answers) {
  Listen();
  EXPECT_EQ(folder_.ModeOf("cni.sock"), 0600);
  const auto answer = Ask();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, (Answer{Kind::kCaptured, "sleep"}));
  EXPECT_EQ(asked_, About("sleep"));
}

TEST_F(ServerTest, AnAnswerMayComeLater) {
  answer_at_once_ = false;
  Listen();
  auto later = std::async(std::launch::async, [this] { return Ask(); });
  Await([this] { return WasAsked(); });
  loop_.Do([this] {
    reply_({Kind::kRefused, "first"});
    reply_({Kind::kCaptured, "second"});
  });
  EXPECT_EQ(*later.get(), (Answer{Kind::kRefused, "first"}));
}

TEST_F(ServerTest, WhoDoesNotWaitIsForgotten) {
  answer_at_once_ = false;
  Listen();
  EXPECT_THAT(Ask(absl::Milliseconds(200)).status().ToString(),
              HasSubstr("no answer in time"));
  Await([this] { return WasAsked(); });
  loop_.Do([this] { reply_({Kind::kCaptured, ""}); });
  // Nor is the server's end waited for.
  loop_.Do([this] { server_.reset(); });
  loop_.Do([this] { reply_({Kind::kCaptured, ""}); });
}

TEST_F(ServerTest, NobodyThere) {
  EXPECT_THAT(Ask().status().ToString(), HasSubstr("No such file"));
  Listen();
  loop_.Do([this] { server_.reset(); });
  EXPECT_THAT(Ask().status().ToString(), HasSubstr("No such file"));
  EXPECT_FALSE(AskAgent("", About("p"), absl::Minutes(1)).ok());
  EXPECT_FALSE(
      AskAgent(std::string(200, 'x'), About("p"), absl::Minutes(1)).ok());
}

TEST_F(ServerTest, TheEndOfTheServerIsNoAnswer) {
  answer_at_once_ = false;
  Listen();
  auto later = std::async(std::launch::async, [this] { return Ask(); });
  Await([this] { return WasAsked(); });
  loop_.Do([this] { server_.reset(); });
  EXPECT_THAT(later.get().status().ToString(), HasSubstr("hung up"));
}

TEST_F(ServerTest, ANewOneTakesThePlaceAndKeepsIt) {
  Listen();
  std::unique_ptr<Server> former;
  loop_.Do([&] { former = std::move(server_); });
  Listen();
  loop_.Do([&] { former.reset(); });
  EXPECT_TRUE(Ask().ok());
}

TEST_F(ServerTest, RefusesWhatIsBroken) {
  Listen();
  const base::Fd one = Connect();
  ASSERT_EQ(write(one.get(), "{}\n", 3), 3);
  EXPECT_THAT(Rest(one.get()), HasSubstr("the question is broken"));
  const base::Fd two = Connect();
  const std::string flood(Server::kMaxQuestionBytes + 8192, 'x');
  // It may be cut off before all is written.
  (void)send(two.get(), flood.data(), flood.size(), MSG_NOSIGNAL);
  EXPECT_EQ(Rest(two.get()), "");
}

TEST_F(ServerTest, WhoSaysNothingIsCutOff) {
  Listen(absl::Milliseconds(100));
  const base::Fd silent = Connect();
  EXPECT_EQ(Rest(silent.get()), "");
}

TEST_F(ServerTest, AnswersRootAlone) {
  Listen();
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(path().c_str(), 0666), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(1);
    const base::Fd fd = Connect();
    _exit(Rest(fd.get()).empty() ? 7 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_FALSE(WasAsked());
}

}  // namespace
}  // namespace nodeward::cni
