// SPDX-License-Identifier: Apache-2.0
#include "kube/marks.h"

#include <gmock/gmock.h>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kRequest[] = "PATCH /api/v1/namespaces/mesh/pods/a/status";

class MarksTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    loop_.Do([&] {
      marks_ = std::make_unique<Marks>(client_.get(), [] { return 0.0; });
    });
  }
  void TearDown() override {
    loop_.Do([&] { marks_.reset(); });
    ApiTest::TearDown();
  }
  // Until everything asked is answered; what was asked.
  std::string Update(bool marked, const std::map<std::string, bool>& wanted) {
    loop_.Do([&] { marks_->Update({{"u1", {"mesh", "a", marked}}}, wanted); });
    AwaitOnLoop([&] { return marks_->idle(); });
    const std::string requests = Requests();
    unlink((folder_ / "requests").c_str());
    return requests;
  }
  std::string Problem() {
    std::string problem;
    loop_.Do([&] { problem = marks_->problem(); });
    return problem;
  }
  std::unique_ptr<Marks> marks_;
};

TEST_F(MarksTest, MarksAndUnmarksByUid) {
  Set(kRequest, 200, "{}");
  EXPECT_THAT(
      Update(false, {{"u1", true}}),
      HasSubstr(R"(application/merge-patch+json {"metadata":{"uid":"u1",)"
                R"("annotations":{"ambient.istio.io/redirection":"enabled",)"
                R"("nodeward.io/redirection":"enabled"}}})"));
  // The API server has taken it; that it tells of it comes later.
  EXPECT_THAT(Update(false, {{"u1", true}}), IsEmpty());
  EXPECT_THAT(Update(true, {{"u1", true}}), IsEmpty());
  EXPECT_THAT(Update(true, {}), IsEmpty());
  EXPECT_THAT(Update(true, {{"u1", false}}),
              HasSubstr(R"("annotations":{"ambient.istio.io/redirection":null,)"
                        R"("nodeward.io/redirection":null}}})"));
  EXPECT_THAT(Update(false, {{"u1", false}, {"u2", true}}), IsEmpty());
}

TEST_F(MarksTest, AMarkThatSomebodyTookAwayComesBack) {
  Set(kRequest, 200, "{}");
  EXPECT_THAT(Update(false, {{"u1", true}}), HasSubstr("PATCH"));
  EXPECT_THAT(Update(true, {{"u1", true}}), IsEmpty());
  EXPECT_THAT(Update(false, {{"u1", true}}), HasSubstr("PATCH"));
}

TEST_F(MarksTest, ARefusalIsToldAndTriedAgainLater) {
  Set(kRequest, 403, R"({"message":"pods/status is forbidden"})");
  EXPECT_THAT(Update(false, {{"u1", true}}), HasSubstr("PATCH"));
  EXPECT_EQ(Problem(),
            "mark pod mesh/a as enrolled: 403 pods/status is forbidden (the "
            "agent needs patch on pods/status)");
  Set(kRequest, 200, "{}");
  Await([&] { return !Update(false, {{"u1", true}}).empty(); });
  EXPECT_THAT(Problem(), IsEmpty());
}

TEST_F(MarksTest, APodThatIsGoneIsNoProblem) {
  for (const int status : {404, 409}) {
    Set(kRequest, status, "{}");
    Await([&] { return !Update(false, {{"u1", true}}).empty(); });
    EXPECT_THAT(Problem(), IsEmpty());
  }
}

}  // namespace
}  // namespace nodeward::kube
