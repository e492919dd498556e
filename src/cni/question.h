// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/status.h"

namespace nodeward::cni {

// What the plugin asks the agent over their socket: one line of JSON each way.
//
//   {"ask":"add","netns":"/var/run/netns/cni-1","namespace":"full",
//    "pod":"sleep","uid":"…","container":"…","ips":["10.0.0.7"]}
//   {"answer":"captured"}
struct Question {
  // A pod is about to start: captured, may it? Else (CHECK): is it?
  bool starts = true;
  std::string netns;  // path
  std::string container_id;
  std::string name_space, pod, uid;
  std::vector<base::IpAddress> ips;

  std::string QualifiedName() const { return name_space + "/" + pod; }
  friend bool operator==(const Question&, const Question&) = default;
};

struct Answer {
  enum class Kind {
    kCaptured,  // of the mesh, and captured in that namespace
    kOutside,   // not of the mesh
    kUnsure,    // the agent cannot find out which
    kRefused,   // of the mesh and not captured, or no pod of this node
  };
  Kind kind = Kind::kUnsure;
  std::string reason;

  friend bool operator==(const Answer&, const Answer&) = default;
};

// Whole lines, with their end.
std::string LineOf(const Question& question);
std::string LineOf(const Answer& answer);
base::StatusOr<Question> ReadQuestion(std::string_view line);
base::StatusOr<Answer> ReadAnswer(std::string_view line);

}  // namespace nodeward::cni
