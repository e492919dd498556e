// SPDX-License-Identifier: Apache-2.0
#include "discovery/service_entry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Reading {
  explicit Reading(const std::string& spec)
      : document(base::StrCat("apiVersion: networking.istio.io/v1\n"
                              "kind: ServiceEntry\n"
                              "metadata: {name: e, namespace: ns}\nspec: ",
                              spec, "\n")),
        entry(
            ReadServiceEntry(document.root(), ReadMetadata(document.root()))) {}
  Document document;
  ServiceEntry entry;
};

TEST(ReadServiceEntryTest, AStaticOneIsAServiceForEachHost) {
  const Reading reading(R"({
    hosts: [a.example, b.example], addresses: [240.0.0.1], resolution: STATIC,
    location: MESH_EXTERNAL, subjectAltNames: [x],
    ports: [{number: 443, name: db, protocol: TCP, targetPort: 5432},
            {number: 80, name: web, protocol: HTTP}],
    endpoints: [{address: "fd00::9"},
                {address: 192.0.2.1, ports: {web: 8080}}]})");
  EXPECT_EQ(reading.document.Findings(), "");
  ASSERT_EQ(reading.entry.services.size(), 2u);
  const model::Service& service = reading.entry.services[0];
  EXPECT_EQ(service.Hostname(), "a.example");
  EXPECT_EQ(reading.entry.services[1].Hostname(), "b.example");
  EXPECT_EQ(service.name_space, "ns");
  EXPECT_EQ(service.cluster_ips.at(0).ToString(), "240.0.0.1");
  EXPECT_EQ(service.subject_alt_names.at(0), "x");
  ASSERT_EQ(service.ports.size(), 2u);
  EXPECT_EQ(service.ports[0].port, 443);
  EXPECT_EQ(service.ports[0].ready.at(0).address.ToString(), "192.0.2.1:5432");
  EXPECT_EQ(service.ports[0].ready.at(1).address.ToString(), "[fd00::9]:5432");
  EXPECT_EQ(service.ports[1].protocol, model::Protocol::kHttp);
  EXPECT_EQ(service.ports[1].ready.at(0).address.ToString(), "192.0.2.1:8080");
}

TEST(ReadServiceEntryTest, OthersAreToldToHaveNoEffect) {
  for (const char* how : {"DNS", "NONE", "DNS_ROUND_ROBIN"}) {
    const Reading reading(
        base::StrCat("{hosts: [a.example], resolution: ", how, "}"));
    EXPECT_THAT(reading.entry.services, IsEmpty());
    EXPECT_EQ(reading.document.worst(), Severity::kNote);
    EXPECT_THAT(reading.document.Findings(),
                HasSubstr(base::StrCat("resolution ", how, " is not")));
  }
  EXPECT_THAT(Reading("{hosts: [a.example]}").document.Findings(),
              HasSubstr("/spec: resolution NONE"));
  EXPECT_EQ(Reading("{hosts: [a.b], resolution: SOMEHOW}").document.worst(),
            Severity::kFatal);
}

TEST(ReadServiceEntryTest, WhatIsWrongIsAFlaw) {
  for (const char* spec :
       {"{resolution: STATIC}", "{resolution: STATIC, hosts: ['*.x']}",
        "{resolution: STATIC, hosts: [a.b], endpoint: []}",
        "{resolution: STATIC, hosts: [a.b], ports: [{name: x}]}",
        "{resolution: STATIC, hosts: [a.b], endpoints: [{}]}",
        "{resolution: STATIC, hosts: [a.b], endpoints: [{address: db.x}]}"}) {
    EXPECT_EQ(Reading(spec).document.worst(), Severity::kFatal) << spec;
  }
  EXPECT_THAT(Reading("{resolution: STATIC, hosts: [a.b], addresses: "
                      "[10.0.0.0/8]}")
                  .document.Findings(),
              HasSubstr("/spec/addresses/0: is a block"));
}

}  // namespace
}  // namespace nodeward::discovery
