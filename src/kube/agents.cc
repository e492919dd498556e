// SPDX-License-Identifier: Apache-2.0
#include "kube/agents.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "base/text.h"
#include "kube/credential_plugin.h"
#include "kube/user_client.h"

namespace nodeward::kube {
namespace {

using base::GetMember;
using base::GetString;
using base::Json;

constexpr char kSelector[] =
    "?labelSelector=app.kubernetes.io%2Fname%3Dnodeward-agent";
constexpr char kContainer[] = "agent";
constexpr char kProgram[] = "/usr/bin/nodeward";
constexpr absl::Duration kListDeadline = absl::Seconds(30);
constexpr absl::Duration kCommandDeadline = absl::Seconds(20);
constexpr size_t kAtOnce = 16;

base::StatusOr<Json> GetJson(const UserClient& client,
                             const std::string& target) {
  NODEWARD_ASSIGN(const auto answer, client.Get(target, kListDeadline));
  auto body = base::ParseJson(answer.body);
  if (answer.status == 200) return body;
  const std::string why = body.ok() ? GetString(*body, "message") : "";
  return absl::PermissionDeniedError(
      base::StrCat("ask ", client.server(), ": it answers ", answer.status,
                   why.empty() ? "" : ": ", why));
}

struct Pod {
  std::string name;
  std::string problem;  // why it cannot be asked; empty: it can
  bool ending = false;
};

// By node; while one agent is replaced by another there may be two.
using Pods = std::multimap<std::string, Pod>;

Pod ReadPod(const Json& object) {
  const Json& metadata = GetMember(object, "metadata");
  const Json& status = GetMember(object, "status");
  Pod pod{.name = GetString(metadata, "name"),
          .problem = {},
          .ending = !GetMember(metadata, "deletionTimestamp").is_null()};
  bool running = false;
  std::string why;
  for (const Json& each : GetMember(status, "containerStatuses")) {
    if (GetString(each, "name") != kContainer) continue;
    const Json& state = GetMember(each, "state");
    running = !GetMember(state, "running").is_null();
    const std::string waiting =
        GetString(GetMember(state, "waiting"), "reason");
    const std::string ended =
        GetString(GetMember(state, "terminated"), "reason");
    why = !waiting.empty() ? waiting : ended;
  }
  if (!running) {
    pod.problem =
        base::StrCat("its pod ", pod.name, " is not running (",
                     why.empty() ? GetString(status, "phase", "?") : why, ")");
  }
  return pod;
}

// The pods to ask: of two on a node the one that stays.
Pods ReadPods(const Json& list) {
  Pods pods;
  std::map<std::string, int> staying;
  for (const Json& object : GetMember(list, "items")) {
    const std::string node = GetString(GetMember(object, "spec"), "nodeName");
    if (node.empty()) continue;  // not placed yet
    Pod pod = ReadPod(object);
    if (!pod.ending) ++staying[node];
    pods.emplace(node, std::move(pod));
  }
  std::erase_if(pods, [&](const auto& each) {
    return each.second.ending && staying[each.first] > 0;
  });
  return pods;
}

base::StatusOr<Json> Ask(const UserClient& client,
                         const std::string& name_space, const Pod& pod,
                         const std::vector<std::string>& words) {
  if (!pod.problem.empty()) return absl::UnavailableError(pod.problem);
  std::vector<std::string> command = {kProgram};
  command.insert(command.end(), words.begin(), words.end());
  const std::string title = base::StrCat("run nodeward in pod ", pod.name);
  const auto ran = client.Run(
      {.name_space = name_space, .pod = pod.name, .container = kContainer},
      command, kCommandDeadline);
  if (!ran.ok()) return base::Annotate(ran.status(), title);
  auto answer = base::ParseJson(ran->out);
  if (answer.ok()) return answer;
  return absl::UnavailableError(
      base::StrCat(title, ": it ended with status ", ran->exit_status,
                   ran->err.empty() ? "" : ": ", ran->err));
}

// How many agents the DaemonSet wants; 0: not known.
int64_t CountWanted(const UserClient& client, const std::string& name_space) {
  const auto list =
      GetJson(client, base::StrCat("/apis/apps/v1/namespaces/", name_space,
                                   "/daemonsets", kSelector));
  int64_t wanted = 0;
  if (!list.ok()) return wanted;
  for (const Json& each : GetMember(*list, "items")) {
    wanted += base::GetInt(GetMember(each, "status"), "desiredNumberScheduled");
  }
  return wanted;
}

}  // namespace

base::StatusOr<std::vector<AgentAnswer>> AskAgents(
    ClusterAccess access, const std::string& name_space,
    const std::vector<std::string>& words) {
  NODEWARD_TRY(FetchCredential(&access));
  const UserClient client(std::move(access));
  NODEWARD_ASSIGN(
      const Json list,
      GetJson(client, base::StrCat("/api/v1/namespaces/", name_space, "/pods",
                                   kSelector)));
  const Pods pods = ReadPods(list);
  const int64_t wanted = CountWanted(client, name_space);
  if (pods.empty() && wanted == 0) {
    return absl::NotFoundError(base::StrCat(
        "no agent runs in namespace ", name_space, " of ", client.server(),
        "; name the one that nodeward is installed in with --namespace"));
  }
  std::vector<AgentAnswer> answers;
  std::vector<const Pod*> asked;
  std::map<std::string, int> nodes;
  for (const auto& [node, pod] : pods) {
    ++nodes[node];
    asked.push_back(&pod);
    answers.push_back({node, pod.name, absl::UnknownError("not asked")});
  }
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < asked.size(); i = next++) {
      answers[i].answer = Ask(client, name_space, *asked[i], words);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(kAtOnce, asked.size()); ++i) {
    threads.emplace_back(work);
  }
  for (std::thread& thread : threads) thread.join();
  const int64_t missing = wanted - static_cast<int64_t>(nodes.size());
  if (missing > 0) {
    answers.push_back({"", "",
                       absl::UnavailableError(base::StrCat(
                           missing, " of ", wanted,
                           " nodes that should have an agent have none"))});
  }
  return answers;
}

}  // namespace nodeward::kube
