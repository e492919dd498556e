// SPDX-License-Identifier: Apache-2.0
#include "ca/root_publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/time/clock.h"

namespace nodeward::ca {
namespace {

using testing::ElementsAre;

// A server that answers with what it is told, the last answer again and again.
class RootPublisherTest : public testing::Test {
 protected:
  RootPublisher::Patcher Patcher() {
    return [this](const std::string& path, const std::string& json)
               -> base::StatusOr<std::pair<long, std::string>> {
      base::MutexLock lock(&mutex_);
      paths_.push_back(path);
      bodies_.push_back(json);
      const long status = answers_.front();
      if (answers_.size() > 1) answers_.erase(answers_.begin());
      if (status == 0) return absl::UnavailableError("no answer");
      return std::pair(status, std::string("{}"));
    };
  }
  RootPublisher::Options Options() const {
    return {.place = {"system", "roots"},
            .first_retry = absl::Milliseconds(1),
            .last_retry = absl::Milliseconds(4),
            .again = again_};
  }
  bool Await(const std::function<bool()>& done) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (absl::Now() < deadline) {
      if (done()) return true;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return false;
  }
  size_t asked() {
    base::MutexLock lock(&mutex_);
    return bodies_.size();
  }

  base::Mutex mutex_;
  std::vector<long> answers_ = {200};
  std::vector<std::string> paths_;
  std::vector<std::string> bodies_;
  absl::Duration again_ = absl::Hours(1);
};

TEST_F(RootPublisherTest, WritesWhatIsSetAndNothingBefore) {
  {
    RootPublisher publisher(Options(), Patcher());
    EXPECT_FALSE(publisher.published());
    publisher.Set("one\n");
    ASSERT_TRUE(Await([&] { return publisher.published(); }));
    publisher.Set("one\n");
    publisher.Set("two\n");
    ASSERT_TRUE(Await([&] { return publisher.published(); }));
  }
  EXPECT_THAT(paths_,
              ElementsAre("/api/v1/namespaces/system/configmaps/roots",
                          "/api/v1/namespaces/system/configmaps/roots"));
  EXPECT_THAT(bodies_, ElementsAre(R"({"data":{"root-cert.pem":"one\n"}})",
                                   R"({"data":{"root-cert.pem":"two\n"}})"));
}

TEST_F(RootPublisherTest, TriesUntilItIsWritten) {
  answers_ = {0, 404, 403, 500, 200};
  RootPublisher publisher(Options(), Patcher());
  publisher.Set("one\n");
  ASSERT_TRUE(Await([&] { return publisher.published(); }));
  EXPECT_EQ(asked(), 5u);
}

TEST_F(RootPublisherTest, WritesAnewWhatOthersMayHaveChanged) {
  again_ = absl::Milliseconds(1);
  RootPublisher publisher(Options(), Patcher());
  publisher.Set("one\n");
  EXPECT_TRUE(Await([&] { return asked() >= 3; }));
}

TEST_F(RootPublisherTest, EndsWhileItWaits) {
  answers_ = {500};
  RootPublisher::Options options = Options();
  options.first_retry = options.last_retry = absl::Hours(1);
  RootPublisher publisher(options, Patcher());
  publisher.Set("one\n");
  ASSERT_TRUE(Await([&] { return asked() == 1; }));
  EXPECT_FALSE(publisher.published());
}

}  // namespace
}  // namespace nodeward::ca
