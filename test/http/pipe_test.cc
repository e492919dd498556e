// SPDX-License-Identifier: Apache-2.0
#include "http/pipe.h"

#include <gtest/gtest.h>

namespace nodeward::http {
namespace {

std::string Taken(Pipe* pipe, size_t count) {
  std::string out(count, '-');
  pipe->Take({reinterpret_cast<uint8_t*>(out.data()), out.size()});
  return out;
}

TEST(PipeTest, BorrowedBytesComeInOrder) {
  Pipe pipe;
  pipe.Add(base::AsBytes("abc"));
  pipe.Add({});
  pipe.Add(base::AsBytes("defg"));
  EXPECT_EQ(pipe.size(), 7);
  EXPECT_EQ(pipe.held(), 0);
  EXPECT_EQ(Taken(&pipe, 2), "ab");
  EXPECT_EQ(Taken(&pipe, 3), "cde");
  EXPECT_EQ(Taken(&pipe, 2), "fg");
  EXPECT_EQ(pipe.size(), 0);
}

TEST(PipeTest, HeldBytesOutliveTheirSourceAndGoFirst) {
  Pipe pipe;
  {
    const std::string gone = "abcdef";
    pipe.Add(base::AsBytes(gone));
    pipe.Hold();
  }
  pipe.Add(base::AsBytes("ghi"));
  EXPECT_EQ(pipe.held(), 6);
  EXPECT_EQ(Taken(&pipe, 5), "abcde");
  EXPECT_EQ(pipe.held(), 1);
  EXPECT_EQ(Taken(&pipe, 3), "fgh");
  pipe.Hold();
  EXPECT_EQ(pipe.size(), 1);
  EXPECT_EQ(Taken(&pipe, 1), "i");
}

TEST(PipeTest, ClearForgetsBoth) {
  Pipe pipe;
  pipe.Add(base::AsBytes("abc"));
  pipe.Hold();
  pipe.Add(base::AsBytes("def"));
  pipe.Clear();
  EXPECT_EQ(pipe.size(), 0);
  pipe.Add(base::AsBytes("x"));
  EXPECT_EQ(Taken(&pipe, 1), "x");
}

}  // namespace
}  // namespace nodeward::http
