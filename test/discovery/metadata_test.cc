// SPDX-License-Identifier: Apache-2.0
#include "discovery/metadata.h"

#include <gtest/gtest.h>

#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

TEST(MetadataTest, ReadsAges) {
  const struct {
    const char* text;
    int64_t created;
  } rows[] = {
      {"metadata: {name: a}", 0},
      {"metadata: {name: a, creationTimestamp: null}", 0},
      {"metadata: {name: a, creationTimestamp: 1970-01-01T00:01:00Z}", 60},
      {"metadata: {name: a, creationTimestamp: '1970-01-01T01:01:00+01:00'}",
       60},
  };
  for (const auto& row : rows) {
    Document document(row.text);
    EXPECT_EQ(ReadMetadata(document.root()).created, row.created) << row.text;
    EXPECT_EQ(document.Findings(), "");
  }
  Document broken("metadata: {name: a, creationTimestamp: yesterday}");
  EXPECT_EQ(ReadMetadata(broken.root()).created, 0);
  EXPECT_EQ(broken.Findings(),
            "/metadata/creationTimestamp: must be a time as "
            "2024-01-31T12:00:00Z\n");
}

TEST(MetadataTest, AnObjectMustHaveAName) {
  for (const char* text : {"{}", "metadata: {}", "metadata: {name: null}"}) {
    Document document(text);
    EXPECT_EQ(ReadMetadata(document.root()).name, "");
    EXPECT_EQ(document.Findings(), "/metadata/name: is required\n") << text;
  }
}

TEST(MetadataTest, TheNamespaceIsDefaultUnlessGiven) {
  Document document("metadata: {name: a}");
  EXPECT_EQ(ReadMetadata(document.root()).name_space, "default");
  Document named("metadata: {name: httpbin.mtls-test.svc, namespace: x}");
  EXPECT_EQ(ReadMetadata(named.root()).name_space, "x");
  EXPECT_EQ(named.Findings(), "");
}

}  // namespace
}  // namespace nodeward::discovery
