// SPDX-License-Identifier: Apache-2.0
#include "discovery/service.h"

#include <gtest/gtest.h>

#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

Service Read(Document* document) {
  return ReadService(document->root(), ReadMetadata(document->root()));
}

TEST(ServiceTest, ReadsAClusterIpService) {
  Document document(R"(
metadata: {name: httpbin, namespace: mtls-test}
spec:
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1, "fd96::1"]
  selector: {app: httpbin}
  ports:
  - {name: http, port: 8000, targetPort: 80}
  - {name: same, port: 9000}
  - {name: zero, port: 9001, targetPort: 0}
  - {name: named, port: 9002, targetPort: web}
  - {name: dns, port: 53, protocol: UDP}
  - {name: db, port: 3306, appProtocol: tcp}
)");
  const Service service = Read(&document);
  EXPECT_EQ(document.Findings(), "");
  ASSERT_EQ(service.cluster_ips.size(), 2u);
  EXPECT_EQ(service.cluster_ips[1].ToString(), "fd96::1");
  EXPECT_EQ(service.selector, (model::Labels{{"app", "httpbin"}}));
  ASSERT_EQ(service.ports.size(), 5u);
  EXPECT_EQ(service.ports[0].target, 80);
  EXPECT_EQ(service.ports[0].traits.protocol, model::Protocol::kHttp);
  EXPECT_EQ(service.ports[1].target, 9000);
  EXPECT_EQ(service.ports[2].target, 9001);
  EXPECT_EQ(service.ports[3].target, 0);
  EXPECT_EQ(service.ports[3].target_name, "web");
  EXPECT_TRUE(service.ports[4].traits.no_sniff_wait);
}

TEST(ServiceTest, ReadsTheInternalTrafficPolicy) {
  const auto local = [](const std::string& spec) {
    Document document("metadata: {name: x}\nspec: " + spec);
    return Read(&document).local_only;
  };
  EXPECT_TRUE(local("{internalTrafficPolicy: Local}"));
  EXPECT_FALSE(local("{internalTrafficPolicy: Cluster}"));
  EXPECT_FALSE(local("{}"));
  Document document(
      "metadata: {name: x}\nspec: {internalTrafficPolicy: local, "
      "sessionAffinity: ClientIP}");
  EXPECT_FALSE(Read(&document).local_only);
  EXPECT_EQ(document.worst(), Severity::kNote);
  EXPECT_NE(document.Findings().find("/spec/sessionAffinity: is not honoured"),
            std::string::npos);
}

TEST(ServiceTest, AHeadlessServiceHasNoAddress) {
  for (const char* text :
       {"metadata: {name: mongo}\nspec: {clusterIP: None}",
        "metadata: {name: mongo}\nspec: {clusterIP: None, clusterIPs: [None]}",
        "metadata: {name: mongo}\nspec: {}"}) {
    Document document(text);
    EXPECT_TRUE(Read(&document).cluster_ips.empty());
    EXPECT_EQ(document.Findings(), "") << text;
  }
}

TEST(ServiceTest, ABrokenPortIsLeftOut) {
  Document document(
      "metadata: {name: x}\nspec: {ports: [{port: http}, {port: 80}, {}, "
      "{port: 81, targetPort: 70000}]}");
  const Service service = Read(&document);
  ASSERT_EQ(service.ports.size(), 1u);
  EXPECT_EQ(service.ports[0].port, 80);
  EXPECT_EQ(document.Findings(),
            "/spec/ports/0/port: must be an integer\n"
            "/spec/ports/2/port: is required\n"
            "/spec/ports/3/targetPort: must be a port, 1 to 65535\n");
  EXPECT_EQ(document.worst(), Severity::kPartial);
}

TEST(ServiceTest, AnUnreadableAddressIsFatal) {
  Document document("metadata: {name: x}\nspec: {clusterIP: none}");
  Read(&document);
  EXPECT_EQ(document.worst(), Severity::kFatal);
}

TEST(ServiceTest, ReadsSlices) {
  Document document(R"(
metadata: {name: x-1, namespace: n, labels: {kubernetes.io/service-name: x}}
addressType: IPv4
ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}, {port: 5}]
endpoints:
- {addresses: [10.0.0.1]}
- {addresses: [10.0.0.2, 10.0.0.3], conditions: {ready: false}}
- {addresses: [10.0.0.4], conditions: {ready: null}}
)");
  const EndpointSlice slice =
      ReadEndpointSlice(document.root(), ReadMetadata(document.root()));
  EXPECT_EQ(document.Findings(), "");
  EXPECT_EQ(slice.service, "x");
  EXPECT_EQ(slice.name_space, "n");
  ASSERT_EQ(slice.ports.size(), 2u);
  EXPECT_EQ(slice.ports[1].name, "");
  ASSERT_EQ(slice.endpoints.size(), 3u);
  EXPECT_TRUE(slice.endpoints[0].ready);
  EXPECT_FALSE(slice.endpoints[1].ready);
  EXPECT_EQ(slice.endpoints[1].addresses.size(), 2u);
  EXPECT_TRUE(slice.endpoints[2].ready);
}

TEST(ServiceTest, SlicesOfNamesHaveNoAddresses) {
  Document document(
      "metadata: {name: x}\naddressType: FQDN\n"
      "endpoints: [{addresses: [example.com]}]\n");
  EXPECT_TRUE(ReadEndpointSlice(document.root(), ReadMetadata(document.root()))
                  .endpoints.empty());
  EXPECT_EQ(document.Findings(), "");
}

}  // namespace
}  // namespace nodeward::discovery
