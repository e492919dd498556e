// SPDX-License-Identifier: Apache-2.0
#include "admin/descriptor_lines.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/text.h"

namespace nodeward::admin {
namespace {

using base::Json;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Minutes(1);

class DescriptorLinesTest : public ::testing::Test {
 protected:
  DescriptorLinesTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    here_.Reset(ends[0]);
    there_.Reset(ends[1]);
    reader_.emplace(there_.get());
  }
  void SendRaw(std::string_view text) {
    ASSERT_EQ(send(here_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // A line of a pipe's two ends, by the names "out" and "in".
  base::Status SendPipe(const char* word) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    std::vector<NamedDescriptor> beside;
    beside.push_back({"out", base::Fd(ends[0])});
    beside.push_back({"in", base::Fd(ends[1])});
    return SendDescriptorLine(here_.get(), {{"word", word}}, beside, kPatience);
  }
  // Do the two belong to one pipe?
  static bool Joined(const base::Fd& in, const base::Fd& out) {
    char byte = 0;
    return write(in.get(), "x", 1) == 1 && read(out.get(), &byte, 1) == 1 &&
           byte == 'x';
  }
  std::string Error() {
    const auto line = reader_->Next();
    return line.ok() ? "none" : std::string(line.status().message());
  }

  base::Fd here_, there_;
  std::optional<DescriptorLineReader> reader_;
};

TEST_F(DescriptorLinesTest, ALineBringsItsDescriptorsByName) {
  ASSERT_TRUE(SendPipe("first").ok());
  auto line = reader_->Await(kPatience);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(base::GetString(line->json, "word"), "first");
  const base::Fd in = line->Take("in");
  const base::Fd out = line->Take("out");
  EXPECT_TRUE(Joined(in, out));
  EXPECT_NE(fcntl(in.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_FALSE(line->Take("in").valid());  // given away
  EXPECT_FALSE(line->Take("other").valid());
}

TEST_F(DescriptorLinesTest, ManyLinesKeepTheirOwnDescriptors) {
  constexpr int kLines = 400;
  std::thread sender([&] {
    for (int i = 0; i < kLines; ++i) {
      EXPECT_TRUE(SendPipe(std::to_string(i).c_str()).ok());
      EXPECT_TRUE(
          SendDescriptorLine(here_.get(), {{"word", "bare"}}, {}, kPatience)
              .ok());
    }
  });
  for (int i = 0; i < kLines; ++i) {
    auto line = reader_->Await(kPatience);
    ASSERT_TRUE(line.ok()) << line.status();
    EXPECT_EQ(base::GetString(line->json, "word"), std::to_string(i));
    EXPECT_TRUE(Joined(line->Take("in"), line->Take("out")));
    line = reader_->Await(kPatience);
    ASSERT_TRUE(line.ok()) << line.status();
    EXPECT_TRUE(line->descriptors.empty());
  }
  sender.join();
}

TEST_F(DescriptorLinesTest, ALineMayComeInPieces) {
  SendRaw("{\"word\":");
  auto line = reader_->Next();
  ASSERT_TRUE(line.ok());
  EXPECT_FALSE(line->has_value());
  SendRaw("\"whole\"}\n{\"word\":\"next\"}\n");
  line = reader_->Next();
  ASSERT_TRUE(line.ok() && line->has_value());
  EXPECT_EQ(base::GetString((*line)->json, "word"), "whole");
  line = reader_->Next();
  ASSERT_TRUE(line.ok() && line->has_value());
  EXPECT_EQ(base::GetString((*line)->json, "word"), "next");
}

TEST_F(DescriptorLinesTest, TheEndIsTold) {
  here_.Reset();
  const auto line = reader_->Await(kPatience);
  EXPECT_TRUE(absl::IsUnavailable(line.status())) << line.status();
}

TEST_F(DescriptorLinesTest, SilenceIsNotWaitedForLongerThanAsked) {
  const auto line = reader_->Await(absl::Milliseconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(line.status())) << line.status();
}

TEST_F(DescriptorLinesTest, WhatIsNoSuchLineIsAnError) {
  SendRaw("[1]\n");
  EXPECT_THAT(Error(), HasSubstr("no JSON object"));
  SendRaw("nonsense\n");
  EXPECT_THAT(Error(), HasSubstr("no JSON object"));
  SendRaw("{\"descriptors\":[\"lock\"]}\n");
  EXPECT_THAT(Error(), HasSubstr("did not come"));
  SendRaw("{\"descriptors\":7}\n");
  EXPECT_THAT(Error(), HasSubstr("did not come"));
}

TEST_F(DescriptorLinesTest, WhatNoLineNamesIsClosed) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const base::Fd out(ends[0]);
  base::Fd in(ends[1]);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  char text[] = "{}\n";
  iovec piece{text, 3};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  *reinterpret_cast<int*>(CMSG_DATA(header)) = in.get();
  ASSERT_EQ(sendmsg(here_.get(), &message, 0), 3);
  in.Reset();
  ASSERT_TRUE(reader_->Await(kPatience).ok());
  char byte = 0;
  EXPECT_EQ(read(out.get(), &byte, 1), 0);  // nobody can write
}

TEST_F(DescriptorLinesTest, ALineWithoutEndIsRefused) {
  const std::string piece(64 << 10, 'x');
  std::thread sender([&] {
    for (size_t sent = 0; sent < 2 * kMaxDescriptorLine;) {
      const ssize_t n =
          send(here_.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
  });
  const auto line = reader_->Await(kPatience);
  EXPECT_THAT(std::string(line.status().message()), HasSubstr("too long"));
  there_.Reset();
  sender.join();
}

TEST_F(DescriptorLinesTest, APeerThatDoesNotReadIsGivenUp) {
  const Json big = {{"text", std::string(kMaxDescriptorLine / 2, 'x')}};
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      SendDescriptorLine(here_.get(), big, {}, absl::Milliseconds(20))));
  there_.Reset();
  EXPECT_FALSE(SendDescriptorLine(here_.get(), big, {}, kPatience).ok());
}

TEST_F(DescriptorLinesTest, TooMuchForALineIsNotSent) {
  EXPECT_TRUE(absl::IsResourceExhausted(SendDescriptorLine(
      here_.get(), {{"text", std::string(kMaxDescriptorLine, 'x')}}, {},
      kPatience)));
  std::vector<NamedDescriptor> many(kMaxDescriptorsOfLine + 1);
  EXPECT_FALSE(SendDescriptorLine(here_.get(), {}, many, kPatience).ok());
}

}  // namespace
}  // namespace nodeward::admin
