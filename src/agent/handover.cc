// SPDX-License-Identifier: Apache-2.0
#include "agent/handover.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/text.h"

namespace nodeward::agent {
namespace {

using base::Json;
using base::StrCat;

// For one line, either way: the other's control loop may be busy.
constexpr absl::Duration kPatience = absl::Seconds(10);

constexpr struct {
  const char* name;
  base::Fd capture::Listeners::*fd;
} kListeners[] = {{"outbound4", &capture::Listeners::outbound4},
                  {"outbound6", &capture::Listeners::outbound6},
                  {"inbound4", &capture::Listeners::inbound4},
                  {"inbound6", &capture::Listeners::inbound6},
                  {"hbone", &capture::Listeners::hbone}};

}  // namespace

Json HandoverTerms::ToJson() const {
  return {{"bpfDir", bpf_dir}, {"node", node}};
}

HandoverTerms HandoverTerms::FromJson(const Json& json) {
  return {.bpf_dir = base::GetString(json, "bpfDir"),
          .node = base::GetString(json, "node")};
}

base::Status HandoverTerms::MayTakeFrom(const HandoverTerms& giver) const {
  if (bpf_dir != giver.bpf_dir) {
    return absl::FailedPreconditionError(StrCat("it pins in ", giver.bpf_dir,
                                                ", this agent in ", bpf_dir,
                                                ": give both the same bpfDir"));
  }
  if (node != giver.node) {
    return absl::FailedPreconditionError(StrCat("it serves node ", giver.node,
                                                ", this agent node ", node,
                                                ": give both the same node"));
  }
  return base::OkStatus();
}

Json PodToJson(const capture::HandedPod& pod) {
  Json earlier = Json::array();
  for (const capture::TcpSocket& socket : pod.earlier) {
    earlier.push_back({{"cookie", socket.cookie},
                       {"local", socket.local.ToString()},
                       {"remote", socket.remote.ToString()}});
  }
  Json sysctls = Json::object();
  for (const capture::Sysctl& sysctl : pod.former_sysctls) {
    sysctls[sysctl.name] = sysctl.value;
  }
  return {{"pod", pod.uid},
          {"netnsCookie", pod.netns_cookie},
          {"earlier", std::move(earlier)},
          {"sysctls", std::move(sysctls)}};
}

std::vector<admin::NamedDescriptor> ListenersOf(capture::Listeners listeners) {
  std::vector<admin::NamedDescriptor> all;
  for (const auto& [name, fd] : kListeners) {
    if ((listeners.*fd).valid()) {
      all.push_back({name, std::move(listeners.*fd)});
    }
  }
  return all;
}

base::StatusOr<capture::HandedPod> PodFromLine(admin::DescriptorLine line) {
  capture::HandedPod pod;
  pod.uid = base::GetString(line.json, "pod");
  pod.netns_cookie =
      static_cast<uint64_t>(base::GetInt(line.json, "netnsCookie"));
  if (pod.uid.empty() || pod.netns_cookie == 0) {
    return absl::InvalidArgumentError(
        "take over a pod: the other agent does not say which");
  }
  for (const auto& [name, fd] : kListeners) pod.listeners.*fd = line.Take(name);
  const Json& earlier = base::GetMember(line.json, "earlier");
  for (size_t i = 0; earlier.is_array() && i < earlier.size(); ++i) {
    capture::TcpSocket socket;
    socket.cookie = static_cast<uint64_t>(base::GetInt(earlier[i], "cookie"));
    NODEWARD_ASSIGN(socket.local, base::Endpoint::Parse(
                                      base::GetString(earlier[i], "local")));
    NODEWARD_ASSIGN(socket.remote, base::Endpoint::Parse(
                                       base::GetString(earlier[i], "remote")));
    pod.earlier.push_back(socket);
  }
  const Json& sysctls = base::GetMember(line.json, "sysctls");
  if (sysctls.is_object()) {
    for (const auto& [name, value] : sysctls.items()) {
      pod.former_sysctls.push_back(
          {name, static_cast<int>(base::GetInt(sysctls, name))});
    }
  }
  return pod;
}

OtherAgent::~OtherAgent() {
  if (watching_) loop_.Remove(connection_.get(), this);
}

base::Status OtherAgent::CheckUser() const {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(connection_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) !=
      0) {
    return base::ErrnoStatus(errno, "ask who the other agent is");
  }
  if (peer.uid == 0 || peer.uid == geteuid()) return base::OkStatus();
  return absl::PermissionDeniedError(
      StrCat("the other agent is not root's but user ", peer.uid, "'s"));
}

base::Status OtherAgent::Send(
    Json json, const std::vector<admin::NamedDescriptor>& beside) {
  return admin::SendDescriptorLine(connection_.get(), std::move(json), beside,
                                   kPatience);
}

base::StatusOr<admin::DescriptorLine> OtherAgent::Await() {
  return reader_.Await(kPatience);
}

base::Status OtherAgent::Watch(
    std::function<void(const admin::DescriptorLine&)> on_line,
    std::function<void()> on_end) {
  on_line_ = std::move(on_line);
  on_end_ = std::move(on_end);
  NODEWARD_TRY(loop_.Add(connection_.get(), EPOLLIN, this));
  watching_ = true;
  return base::OkStatus();
}

void OtherAgent::OnEvents(uint32_t) {
  for (;;) {
    auto line = reader_.Next();
    if (line.ok() && !line->has_value()) return;
    if (line.ok()) {
      on_line_(**line);
      continue;
    }
    loop_.Remove(connection_.get(), this);
    watching_ = false;
    return on_end_();
  }
}

}  // namespace nodeward::agent
