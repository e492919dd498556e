// SPDX-License-Identifier: Apache-2.0
#include "base/yaml_scalar.h"

#include <gtest/gtest.h>

#include <cmath>

namespace nodeward::base {
namespace {

TEST(YamlScalarTest, KeepsWhatIsAlmostANumber) {
  for (const char* text :
       {"1_000", "1,5",  "0b1",  "0x",  "0xg",      "0o8",  "--1", "+-1", "1e",
        "e1",    ".",    "-",    "+",   "1.2.3",    "1 2",  "inf", "nan", ".in",
        "-.nan", "0x-1", "+0x1", "1e+", "10.0.0.1", "12:30"}) {
    const Json value = ResolvePlainScalar(text);
    EXPECT_TRUE(value.is_string()) << text << " became " << value.dump();
  }
}

TEST(YamlScalarTest, ReadsExtremes) {
  EXPECT_EQ(ResolvePlainScalar("-9223372036854775808").dump(),
            "-9223372036854775808");
  EXPECT_EQ(ResolvePlainScalar("18446744073709551615").dump(),
            "18446744073709551615");
  EXPECT_TRUE(ResolvePlainScalar("18446744073709551616").is_number_float());
  EXPECT_TRUE(ResolvePlainScalar("-9223372036854775809").is_number_float());
  EXPECT_TRUE(std::isinf(ResolvePlainScalar(".inf").get<double>()));
  EXPECT_LT(ResolvePlainScalar("-.INF").get<double>(), 0);
  EXPECT_TRUE(std::isnan(ResolvePlainScalar(".NaN").get<double>()));
  EXPECT_TRUE(std::isinf(ResolvePlainScalar("1e999").get<double>()));
  EXPECT_EQ(ResolvePlainScalar("-0").dump(), "0");
  EXPECT_EQ(ResolvePlainScalar("+1.5e+2").get<double>(), 150);
  EXPECT_EQ(ResolvePlainScalar("-1.5").get<double>(), -1.5);
}

}  // namespace
}  // namespace nodeward::base
