// SPDX-License-Identifier: Apache-2.0
#include "cni/ask.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "base/fd.h"
#include "cni/folder.h"

namespace nodeward::cni {
namespace {

using testing::HasSubstr;

// What AskAgent makes of one who answers `text`.
std::string Outcome(const std::string& text) {
  const Folder folder;
  const std::string path = folder / "s";
  const base::Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.c_str(), path.size());
  EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address),
                 sizeof(address)),
            0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  std::thread other([&] {
    const base::Fd fd(accept(listener.get(), nullptr, nullptr));
    char buffer[4096];
    (void)!read(fd.get(), buffer, sizeof(buffer));
    for (const char byte : text) {
      (void)send(fd.get(), &byte, 1, MSG_NOSIGNAL);
    }
  });
  const auto answer = AskAgent(path, {}, absl::Minutes(1));
  other.join();
  return answer.ok() ? "answered" : answer.status().ToString();
}

TEST(AskTest, ByteByByte) {
  EXPECT_EQ(Outcome("{\"answer\":\"outside\"}\n"), "answered");
}

TEST(AskTest, WhatIsNoAnswer) {
  EXPECT_THAT(Outcome(""), HasSubstr("it hung up"));
  EXPECT_THAT(Outcome("{\"answer\":\"outside\"}"), HasSubstr("it hung up"));
  EXPECT_THAT(Outcome("{\"answer\":\"perhaps\"}\n"), HasSubstr("not known"));
  EXPECT_THAT(Outcome(std::string(70000, 'x')), HasSubstr("too long"));
}

}  // namespace
}  // namespace nodeward::cni
