// SPDX-License-Identifier: Apache-2.0
#include "kube/pod_lookup.h"

#include <memory>
#include <utility>

#include "base/text.h"

namespace nodeward::kube {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(5);

struct Question {
  PodObjects objects;
  int open = 2;
  std::function<void(PodObjects)> done;
};

void Take(const std::shared_ptr<Question>& question, bool is_pod,
          const HttpClient::Answer& answer) {
  PodObjects& objects = question->objects;
  objects.transport.Update(answer.transport);
  (is_pod ? objects.pod_status : objects.namespace_status) = answer.status;
  if (answer.transport.ok() && answer.status == 200) {
    auto object = base::ParseJson(answer.body);
    objects.transport.Update(object.status());
    if (object.ok()) {
      (is_pod ? objects.pod : objects.name_space) = *std::move(object);
    }
  }
  if (--question->open == 0) question->done(std::move(objects));
}

}  // namespace

void LookUpPod(HttpClient* client, const std::string& name_space,
               const std::string& pod, std::function<void(PodObjects)> done) {
  auto question = std::make_shared<Question>();
  question->done = std::move(done);
  const std::string path = base::StrCat("/api/v1/namespaces/", name_space);
  for (const bool is_pod : {false, true}) {
    client->Ask({.target = is_pod ? base::StrCat(path, "/pods/", pod) : path,
                 .deadline = kDeadline},
                [question, is_pod](const HttpClient::Answer& answer) {
                  Take(question, is_pod, answer);
                });
  }
}

}  // namespace nodeward::kube
