// SPDX-License-Identifier: Apache-2.0
#include "model/volume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "model/workload.h"

namespace nodeward::model {
namespace {

using ::testing::HasSubstr;

class VolumeTest : public ::testing::Test {
 protected:
  VolumeTest() {
    pod_.name = "client";
    pod_.name_space = "ns";
    Add("ConfigMap", "ns", "certs", {{"client.pem", "PEM"}, {"ca.pem", "CA"}});
    Add("Secret", "ns", "certs", {{"client.pem", "SECRET"}});
    Add("ConfigMap", "other", "theirs", {{"x", "THEIRS"}});
    Mount("/pem", "ConfigMap", "certs");
  }
  void Add(const std::string& kind, const std::string& name_space,
           const std::string& name, std::map<std::string, std::string> files) {
    auto set = std::make_shared<FileSet>();
    set->kind = kind;
    set->files = std::move(files);
    sets_[{kind, name_space, name}] = std::move(set);
  }
  ProxyMount& Mount(const std::string& path, const std::string& kind,
                    const std::string& source) {
    mounts_.push_back({path, "v", kind, source, {}, ""});
    return mounts_.back();
  }
  base::StatusOr<const std::string*> Find(const std::string& path) {
    pod_.proxy_mounts = mounts_;
    return FindFile(pod_, sets_, path);
  }
  std::string Read(const std::string& path) {
    const auto found = Find(path);
    return found.ok() ? **found : std::string(found.status().message());
  }
  Workload pod_;
  std::vector<ProxyMount> mounts_;
  FileSets sets_;
};

TEST_F(VolumeTest, FindsAFileInItsVolume) {
  EXPECT_EQ(Read("/pem/client.pem"), "PEM");
  EXPECT_EQ(Read("/pem/ca.pem"), "CA");
  Mount("/pem/deep", "Secret", "certs");
  EXPECT_EQ(Read("/pem/deep/client.pem"), "SECRET");
}

TEST_F(VolumeTest, AFileThatIsMissingIsNotFound) {
  const auto found = Find("/pem/client.key");
  EXPECT_TRUE(absl::IsNotFound(found.status()));
  EXPECT_EQ(found.status().message(),
            "/pem/client.key: ConfigMap ns/certs has no such file");
}

TEST_F(VolumeTest, NothingOutsideOfTheMountsIsEverRead) {
  for (const char* path :
       {"/etc/passwd", "/pemx/client.pem", "/pem", "/pem/", "pem/client.pem",
        "", "/", "/pem/../pem/client.pem", "/pem/./client.pem",
        "/pem//client.pem", "/../etc/passwd", "/pem/..", "//pem/client.pem"}) {
    const auto found = Find(path);
    ASSERT_FALSE(found.ok()) << path;
    EXPECT_FALSE(absl::IsNotFound(found.status())) << path;
  }
  EXPECT_THAT(Read(std::string("/pem/client.pem\0x", 17)),
              HasSubstr("must be an absolute path"));
  EXPECT_THAT(Read("/etc/passwd"), HasSubstr("no volume of pod ns/client"));
}

TEST_F(VolumeTest, OnlyObjectsOfTheOwnNamespace) {
  Mount("/x", "ConfigMap", "theirs");
  EXPECT_EQ(Read("/x/x"), "/x/x: there is no ConfigMap ns/theirs for volume v");
}

TEST_F(VolumeTest, ItemsRenameAndHide) {
  Mount("/s", "ConfigMap", "certs").items = {{"client.pem", "tls/me.pem"}};
  EXPECT_EQ(Read("/s/tls/me.pem"), "PEM");
  EXPECT_THAT(Read("/s/client.pem"), HasSubstr("no such file"));
  EXPECT_THAT(Read("/s/ca.pem"), HasSubstr("no such file"));
}

TEST_F(VolumeTest, AMountWithAFlawTellsIt) {
  Mount("/h", "", "").flaw = "volume h is of kind hostPath";
  EXPECT_EQ(Read("/h/shadow"), "/h/shadow: volume h is of kind hostPath");
}

}  // namespace
}  // namespace nodeward::model
