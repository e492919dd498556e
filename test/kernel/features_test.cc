// SPDX-License-Identifier: Apache-2.0
#include "kernel/features.h"

#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <cstdio>

namespace nodeward::kernel {
namespace {

// The code tries; here the version says what a mainline kernel would answer.
TEST(FeaturesTest, AgreeWithTheVersion) {
  utsname system;
  ASSERT_EQ(uname(&system), 0);
  int major = 0, minor = 0;
  ASSERT_EQ(std::sscanf(system.release, "%d.%d", &major, &minor), 2);
  int version = major * 100 + minor;
  Features features = ProbeFeatures();
  EXPECT_EQ(features.tcx, version >= 606) << system.release;
  EXPECT_EQ(features.set_retval, version >= 518) << system.release;
}

}  // namespace
}  // namespace nodeward::kernel
