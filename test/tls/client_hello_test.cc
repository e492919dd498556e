// SPDX-License-Identifier: Apache-2.0
#include "tls/client_hello.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <utility>

#include "pki/command.h"
#include "tls/loopback.h"

namespace nodeward::tls {
namespace {

using Kind = Sniffed::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

Sniffed Sniff(std::string_view bytes) {
  return SniffClientHello(base::AsBytes(bytes));
}

// The first flight of openssl s_client with `arguments`, off a real socket.
std::string Capture(const std::string& arguments) {
  LoopbackListener listener;
  std::string bytes;
  std::thread receiving([&] {
    const base::Fd fd = listener.Accept();
    char buffer[16'384];
    while (Sniff(bytes).kind == Kind::kNeedMore) {
      const ssize_t count = recv(fd.get(), buffer, sizeof(buffer), 0);
      if (count <= 0) break;
      bytes.append(buffer, static_cast<size_t>(count));
    }
  });
  pki::RunCommand("timeout 25 openssl s_client -connect " + listener.address() +
                  " " + arguments + " < /dev/null");
  receiving.join();
  return bytes;
}

// The handshake message of a flight of one record.
std::string MessageOf(const std::string& flight) { return flight.substr(5); }

// `message` in records of at most `size` bytes.
std::string Fragment(const std::string& message, size_t size) {
  std::string flight;
  for (size_t at = 0; at < message.size(); at += size) {
    const std::string part = message.substr(at, size);
    flight += "\x16\x03\x01";
    flight += static_cast<char>(part.size() >> 8);
    flight += static_cast<char>(part.size());
    flight += part;
  }
  return flight;
}

void AppendNumber(std::string* out, size_t value, int width) {
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
    *out += static_cast<char>(value >> shift);
  }
}

// `contents` behind their length.
std::string Vector(int width, const std::string& contents) {
  std::string out;
  AppendNumber(&out, contents.size(), width);
  return out + contents;
}

std::string Extension(size_t type, const std::string& data) {
  std::string out;
  AppendNumber(&out, type, 2);
  return out + Vector(2, data);
}

// A ClientHello with these extensions, as one record.
std::string Hello(const std::string& extensions) {
  const std::string body = "\x03\x03" + std::string(32, 'r') +
                           Vector(1, std::string(32, 's')) +
                           Vector(2, "\x13\x01") +
                           Vector(1, std::string(1, 0)) + Vector(2, extensions);
  return Fragment(std::string(1, 1) + Vector(3, body), 16'384);
}

std::string AlpnList(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += Vector(1, name);
  return Extension(16, Vector(2, list));
}

TEST(ClientHello, ReadsWhatOpensslSends) {
  const Sniffed istio = Sniff(Capture("-alpn istio -noservername"));
  EXPECT_EQ(istio.kind, Kind::kTls);
  EXPECT_THAT(istio.alpn, ElementsAre("istio"));
  EXPECT_EQ(istio.server_name, "");
  EXPECT_TRUE(istio.is_mesh());

  const Sniffed web =
      Sniff(Capture("-alpn h2,http/1.1 -servername httpbin.full.svc"));
  EXPECT_EQ(web.kind, Kind::kTls);
  EXPECT_THAT(web.alpn, ElementsAre("h2", "http/1.1"));
  EXPECT_EQ(web.server_name, "httpbin.full.svc");
  EXPECT_FALSE(web.is_mesh());

  const Sniffed old = Sniff(Capture("-tls1_2 -noservername"));
  EXPECT_EQ(old.kind, Kind::kTls);
  EXPECT_THAT(old.alpn, IsEmpty());
  EXPECT_FALSE(old.is_mesh());
}

TEST(ClientHello, EveryPrefixNeedsMore) {
  const std::string flight =
      Capture("-alpn istio-peer-exchange,istio -servername a.example");
  ASSERT_EQ(Sniff(flight).kind, Kind::kTls);
  for (size_t size = 0; size < flight.size(); ++size) {
    ASSERT_EQ(Sniff(flight.substr(0, size)).kind, Kind::kNeedMore) << size;
  }
  EXPECT_EQ(Sniff(flight + "what follows").kind, Kind::kTls);
}

TEST(ClientHello, PutsFragmentsTogether) {
  const std::string message =
      MessageOf(Capture("-alpn istio -servername a.example"));
  for (const size_t size : {1, 2, 3, 4, 5, 50, 100, 255}) {
    const std::string flight = Fragment(message, size);
    const Sniffed sniffed = Sniff(flight);
    EXPECT_EQ(sniffed.kind, Kind::kTls) << size;
    EXPECT_THAT(sniffed.alpn, ElementsAre("istio"));
    EXPECT_EQ(sniffed.server_name, "a.example");
    for (size_t prefix = 0; prefix < flight.size(); ++prefix) {
      ASSERT_EQ(Sniff(flight.substr(0, prefix)).kind, Kind::kNeedMore);
    }
  }
}

TEST(ClientHello, TellsOtherProtocolsByTheirFirstBytes) {
  for (const std::string& bytes :
       {std::string("G"), std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string("PRI * HTTP/2.0"), std::string("SSH-2.0-x"),
        std::string("\x00", 1), std::string("\x16\x02"), std::string("\x16G"),
        std::string("\x15\x03\x01"),
        std::string("\x80\x2e\x01\x03\x01", 5),      // SSLv2
        std::string("\x16\x03\x01\x00\x00", 5),      // empty fragment
        std::string("\x16\x03\x01\x40\x01", 5),      // too long a record
        std::string("\x16\x03\x01\x00\x05\x02", 6),  // a ServerHello
        std::string("\x16\x03\x01\x00\x04\x01\x00\x00\x02", 9),     // too short
        std::string("\x16\x03\x01\x00\x04\x01\x01\x00\x00", 9)}) {  // 64 KB
    EXPECT_EQ(Sniff(bytes).kind, Kind::kNotTls)
        << testing::PrintToString(bytes);
  }
  EXPECT_EQ(Sniff("").kind, Kind::kNeedMore);
  EXPECT_EQ(Sniff("\x16").kind, Kind::kNeedMore);
  EXPECT_EQ(Sniff("\x16\x03").kind, Kind::kNeedMore);
}

TEST(ClientHello, AnotherRecordTypeBetweenFragmentsIsNotTls) {
  const std::string message = MessageOf(Hello(AlpnList({"istio"})));
  const std::string first = Fragment(message.substr(0, 20), 20);
  const std::string alert("\x15\x03\x01\x00\x02\x01\x00", 7);
  EXPECT_EQ(Sniff(first + Fragment(message.substr(20), 9'999)).kind,
            Kind::kTls);
  EXPECT_EQ(Sniff(first + alert + Fragment(message.substr(20), 9'999)).kind,
            Kind::kNotTls);
}

TEST(ClientHello, ABufferOfTheLimitAlwaysGetsAnAnswer) {
  // One that could become whole a little later, and one in fragments so small
  // that their headers alone fill the buffer.
  const std::string large = Hello(Extension(21, std::string(16'100, '\0')));
  ASSERT_LT(large.size(), kMaxClientHello);
  EXPECT_EQ(Sniff(large).kind, Kind::kTls);
  const std::string fragments = Fragment(MessageOf(large), 1);
  EXPECT_EQ(Sniff(fragments.substr(0, kMaxClientHello - 1)).kind,
            Kind::kNeedMore);
  EXPECT_EQ(Sniff(fragments.substr(0, kMaxClientHello)).kind, Kind::kNotTls);
  EXPECT_EQ(Sniff(fragments).kind, Kind::kNotTls);
}

TEST(ClientHello, RefusesExtensionsThatLie) {
  const std::string alpn = AlpnList({"istio"});
  EXPECT_EQ(Sniff(Hello(alpn)).kind, Kind::kTls);
  EXPECT_EQ(Sniff(Hello("")).kind, Kind::kTls);
  for (const std::string& extensions :
       {alpn + alpn,                            // twice
        alpn.substr(0, alpn.size() - 1),        // cut off
        AlpnList({""}),                         // an empty name
        AlpnList({}),                           // an empty list
        Extension(16, Vector(2, "\x09istio")),  // a name beyond the list
        Extension(16, ""),
        Extension(16, Vector(2, Vector(1, "h2")) + "x"),  // bytes behind it
        Extension(0, Vector(2, std::string("\x00\x00\x00", 3))),
        Extension(0, "x")}) {
    EXPECT_EQ(Sniff(Hello(extensions)).kind, Kind::kNotTls)
        << testing::PrintToString(extensions);
  }
}

TEST(ClientHello, OnlyIstiosOwnNamesAreTheMesh) {
  const auto mesh = [](const std::vector<std::string>& names) {
    return Sniff(Hello(AlpnList(names))).is_mesh();
  };
  EXPECT_TRUE(mesh({"istio"}));
  EXPECT_TRUE(mesh({"h2", "istio-peer-exchange"}));
  EXPECT_TRUE(mesh({"istio-http/1.1"}));
  EXPECT_FALSE(mesh({"h2"}));
  EXPECT_FALSE(mesh({"istiod"}));
  EXPECT_FALSE(mesh({"xistio"}));
  EXPECT_FALSE(mesh({"ISTIO"}));
}

// Whatever comes, there is an answer, and more bytes never change one that was
// given.
TEST(ClientHello, HasAnAnswerForEverythingAndKeepsIt) {
  std::mt19937 random(2026);
  const std::string seeds[] = {
      Hello(AlpnList({"istio", "h2"}) +
            Extension(0, Vector(2, std::string(1, 0) + Vector(2, "a.b")))),
      Fragment(MessageOf(Hello(AlpnList({"istio"}))), 11), Hello("")};
  int kinds[3] = {};
  for (int round = 0; round < 30'000; ++round) {
    std::string bytes = seeds[random() % std::size(seeds)];
    for (uint32_t flips = random() % 4; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const Sniffed whole = Sniff(bytes);
    ++kinds[static_cast<int>(whole.kind)];
    const Sniffed part = Sniff(bytes.substr(0, random() % bytes.size()));
    if (part.kind != Kind::kNeedMore) {
      ASSERT_EQ(part.kind, whole.kind);
      ASSERT_EQ(part.alpn, whole.alpn);
      ASSERT_EQ(part.server_name, whole.server_name);
    }
  }
  for (const int count : kinds) EXPECT_GT(count, 100);
}

}  // namespace
}  // namespace nodeward::tls
