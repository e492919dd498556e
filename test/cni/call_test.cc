// SPDX-License-Identifier: Apache-2.0
#include "cni/call.h"

#include <gmock/gmock.h>

#include <map>

namespace nodeward::cni {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Set = std::map<std::string, std::string>;

Variables From(const Set& set) {
  return [set](const char* name) {
    const auto found = set.find(name);
    return found == set.end() ? "" : found->second;
  };
}

const Set kAdd = {{"CNI_COMMAND", "ADD"},
                  {"CNI_CONTAINERID", "c1"},
                  {"CNI_NETNS", "/var/run/netns/cni-1"},
                  {"CNI_ARGS",
                   "IgnoreUnknown=1;K8S_POD_NAMESPACE=full;K8S_POD_NAME=sleep;"
                   "K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1"}};

// As containerd calls the last plugin of a list.
constexpr char kConfiguration[] = R"({
  "cniVersion": "0.4.0", "name": "pods", "type": "nodeward-cni",
  "socket": "/run/nodeward/cni.sock", "kubeconfig": "/k", "namespaces": "/n",
  "agentNamespace": "nodeward-system",
  "prevResult": {
    "cniVersion": "0.4.0",
    "interfaces": [{"name": "cni0"}, {"name": "veth1"},
                   {"name": "eth0", "sandbox": "/var/run/netns/cni-1"}],
    "ips": [{"version": "4", "interface": 2, "address": "10.0.0.7/24"},
            {"version": "4", "interface": 0, "address": "10.0.0.1/24"},
            {"version": "6", "interface": 2, "address": "fd00::7/64"}]}})";

std::string Error(const Set& set, std::string_view configuration) {
  return ReadCall(From(set), configuration).status().ToString();
}

TEST(CallTest, Add) {
  const auto call = ReadCall(From(kAdd), kConfiguration);
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->verb, Verb::kAdd);
  EXPECT_EQ(call->cni_version, "0.4.0");
  EXPECT_EQ(call->container_id, "c1");
  EXPECT_EQ(call->netns, "/var/run/netns/cni-1");
  EXPECT_EQ(call->name_space, "full");
  EXPECT_EQ(call->pod, "sleep");
  EXPECT_EQ(call->uid, "u1");
  EXPECT_EQ(call->socket, "/run/nodeward/cni.sock");
  EXPECT_EQ(call->kubeconfig, "/k");
  EXPECT_EQ(call->namespaces, "/n");
  EXPECT_EQ(call->agent_namespace, "nodeward-system");
  // The bridge's own address is none of the pod's.
  EXPECT_THAT(call->ips, ElementsAre(*base::IpAddress::Parse("10.0.0.7"),
                                     *base::IpAddress::Parse("fd00::7")));
  EXPECT_EQ(call->previous["ips"].size(), 3);
}

TEST(CallTest, AddressesOfResultsThatNameNoInterface) {
  const auto call = ReadCall(
      From(kAdd),
      R"({"cniVersion":"1.0.0","prevResult":{"ips":[{"address":"10.0.0.9/24"},)"
      R"({"address":"?"},{"interface":7,"address":"10.0.0.8"}]}})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_THAT(call->ips, ElementsAre(*base::IpAddress::Parse("10.0.0.9"),
                                     *base::IpAddress::Parse("10.0.0.8")));
}

TEST(CallTest, NoPodOfKubernetes) {
  Set set = kAdd;
  set.erase("CNI_ARGS");
  const auto call =
      ReadCall(From(set), R"({"cniVersion":"1.0.0","prevResult":{}})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->name_space, "");
  EXPECT_THAT(call->ips, IsEmpty());
}

TEST(CallTest, Errors) {
  EXPECT_THAT(Error({}, "{}"), HasSubstr("CNI_COMMAND is not set"));
  EXPECT_THAT(Error({{"CNI_COMMAND", "PUT"}}, "{}"),
              HasSubstr("'PUT' is not known"));
  EXPECT_THAT(Error(kAdd, "[]"), HasSubstr("DATA_LOSS"));
  EXPECT_THAT(Error(kAdd, "{"), HasSubstr("DATA_LOSS"));
  EXPECT_THAT(Error(kAdd, R"({"cniVersion":"2.0.0"})"),
              HasSubstr("UNIMPLEMENTED"));
  EXPECT_THAT(Error(kAdd, R"({"cniVersion":"1.0.0"})"),
              HasSubstr("there is no prevResult"));
  Set set = kAdd;
  set["CNI_NETNS"] = "";
  EXPECT_THAT(Error(set, R"({"cniVersion":"1.0.0","prevResult":{}})"),
              HasSubstr("CNI_NETNS '' is no absolute path"));
  set.erase("CNI_CONTAINERID");
  EXPECT_THAT(Error(set, R"({"cniVersion":"1.0.0","prevResult":{}})"),
              HasSubstr("CNI_CONTAINERID is not set"));
}

TEST(CallTest, VersionNeedsNoVersionOfOurs) {
  const auto call =
      ReadCall(From({{"CNI_COMMAND", "VERSION"}}), R"({"cniVersion":"9"})");
  ASSERT_TRUE(call.ok());
  EXPECT_EQ(call->cni_version, "9");
}

}  // namespace
}  // namespace nodeward::cni
