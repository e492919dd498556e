// SPDX-License-Identifier: Apache-2.0
#include "identity/client_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "pki/forge.h"

namespace nodeward::identity {
namespace {

using model::ClientTls;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A pod ns/a on the node n with a ConfigMap at /pem and a rule for it.
class ClientFilesTest : public ::testing::Test {
 protected:
  ClientFilesTest() : root_(pki::NewRoot()) {
    AddPod("a");
    rule_->name = "r";
    rule_->name_space = "ns";
    rule_->host = "h";
    rule_->file = "r.yaml";
    rule_->line = 3;
    ClientTls& tls = rule_->tls.emplace();
    tls.mode = ClientTls::Mode::kMutual;
    tls.client_certificate = "/pem/client.pem";
    tls.private_key = "/pem/client.key";
    tls.ca_certificates = "/pem/ca.pem";
    pair_ = NewPair();
    Put("ConfigMap", "m",
        {{"client.pem", pair_.first},
         {"client.key", pair_.second},
         {"ca.pem", root_.certificate.ToPem()}});
  }
  std::shared_ptr<model::Workload> AddPod(const std::string& name) {
    auto pod = std::make_shared<model::Workload>();
    pod->uid = name;
    pod->name = name;
    pod->name_space = "ns";
    pod->node = "n";
    pod->membership = model::Membership::kEnabled;
    pod->proxy_mounts =
        std::vector<model::ProxyMount>{{"/pem", "v", "ConfigMap", "m", {}, ""}};
    pods_.push_back(pod);
    return pod;
  }
  // Certificate and key.
  std::pair<std::string, std::string> NewPair() {
    const auto key = pki::PrivateKey::GenerateP256();
    return {pki::Forge(root_, *key, {}).ToPem(), *key->ToPem()};
  }
  void Put(const std::string& kind, const std::string& name,
           std::map<std::string, std::string> files) {
    auto set = std::make_shared<model::FileSet>();
    set->kind = kind;
    set->name_space = "ns";
    set->name = name;
    set->files = std::move(files);
    sets_[{kind, "ns", name}] = std::move(set);
  }
  // What pod `index` has for `rule_`.
  pki::ClientMaterials::Entry Read(size_t index = 0) {
    model::Snapshot snapshot;
    snapshot.workloads.assign(pods_.begin(), pods_.end());
    snapshot.destination_rules = {rule_};
    snapshot.file_sets = sets_;
    snapshot.Finish();
    const auto materials = files_.Read(snapshot, "n");
    const auto found = materials->entries.find(
        pki::ClientMaterials::KeyOf(*pods_[index], *rule_->tls));
    if (found == materials->entries.end()) return {nullptr, "no entry"};
    return found->second;
  }
  std::vector<std::string> Problems() {
    std::vector<std::string> texts;
    for (const auto& problem : files_.problems()) {
      texts.push_back(problem.ToString() + (problem.closes ? " [closes]" : ""));
    }
    return texts;
  }

  pki::Root root_;
  std::pair<std::string, std::string> pair_;
  std::vector<std::shared_ptr<model::Workload>> pods_;
  std::shared_ptr<model::DestinationRule> rule_ =
      std::make_shared<model::DestinationRule>();
  model::FileSets sets_;
  ClientFiles files_;
};

TEST_F(ClientFilesTest, ReadsOnceAndAgainWhenAFileChanges) {
  const auto first = Read();
  ASSERT_NE(first.material, nullptr) << first.error;
  EXPECT_THAT(Problems(), IsEmpty());
  EXPECT_EQ(Read().material, first.material);
  pair_ = NewPair();
  Put("ConfigMap", "m",
      {{"client.pem", pair_.first},
       {"client.key", pair_.second},
       {"ca.pem", root_.certificate.ToPem()}});
  const auto second = Read();
  ASSERT_NE(second.material, nullptr) << second.error;
  EXPECT_NE(second.material, first.material);
}

TEST_F(ClientFilesTest, OneFileMayHoldBothAndThatIsTold) {
  const std::string both = pair_.second + pair_.first;
  Put("ConfigMap", "m",
      {{"client.pem", both}, {"ca.pem", root_.certificate.ToPem()}});
  EXPECT_NE(Read().material, nullptr);
  EXPECT_THAT(Problems(),
              ElementsAre("r.yaml:3: DestinationRule ns/r: pod ns/a: "
                          "/pem/client.key: ConfigMap ns/m has no such file; "
                          "the key in /pem/client.pem is used"));
  EXPECT_NE(Read().material, nullptr);
  EXPECT_EQ(Problems().size(), 1u);
  Put("ConfigMap", "m",
      {{"client.key", both}, {"ca.pem", root_.certificate.ToPem()}});
  EXPECT_NE(Read().material, nullptr);
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("the certificate in /pem/client.key")));
}

TEST_F(ClientFilesTest, WhatWasNeverGoodRefuses) {
  Put("ConfigMap", "m", {{"client.pem", pair_.first}});
  const auto entry = Read();
  EXPECT_EQ(entry.material, nullptr);
  EXPECT_THAT(entry.error, HasSubstr("/pem/client.key"));
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("connections by the rule are refused "
                                    "[closes]")));
  sets_.clear();
  EXPECT_THAT(Read().error, HasSubstr("there is no ConfigMap ns/m"));
}

TEST_F(ClientFilesTest, APairThatDoesNotFitKeepsTheOldOne) {
  const auto good = Read();
  ASSERT_NE(good.material, nullptr);
  const auto other = NewPair();
  Put("ConfigMap", "m",
      {{"client.pem", pair_.first},
       {"client.key", other.second},
       {"ca.pem", root_.certificate.ToPem()}});
  EXPECT_EQ(Read().material, good.material);
  EXPECT_THAT(Problems(),
              ElementsAre(::testing::AllOf(
                  HasSubstr("is not that of the certificate"),
                  ::testing::EndsWith("what was read before stays in use"))));
  Put("ConfigMap", "m",
      {{"client.pem", other.first},
       {"client.key", other.second},
       {"ca.pem", root_.certificate.ToPem()}});
  EXPECT_NE(Read().material, good.material);
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(ClientFilesTest, OnlyPodsOfTheMeshOnThisNodeThatTheRuleConcerns) {
  EXPECT_NE(Read().material, nullptr);
  pods_[0]->node = "other";
  EXPECT_EQ(Read().error, "no entry");
  pods_[0]->node = "n";
  pods_[0]->membership = model::Membership::kNotOptedIn;
  EXPECT_EQ(Read().error, "no entry");
  pods_[0]->membership = model::Membership::kEnabled;
  rule_->selector = {{"app", "x"}};
  EXPECT_EQ(Read().error, "no entry");
  rule_->selector.clear();
  rule_->tls->mode = ClientTls::Mode::kIstioMutual;
  EXPECT_EQ(Read().error, "no entry");
}

TEST_F(ClientFilesTest, ManyPodsAreOneProblem) {
  AddPod("b");
  AddPod("c");
  sets_.clear();
  Read();
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("pod ns/a and 2 more: ")));
}

TEST_F(ClientFilesTest, APodThatMountsNothingIsAmissOnlyOnceItConnects) {
  AddPod("b")->proxy_mounts = std::vector<model::ProxyMount>();
  AddPod("c")->proxy_mounts = std::vector<model::ProxyMount>();
  EXPECT_NE(Read(0).material, nullptr);
  EXPECT_EQ(Read(1).material, nullptr);
  EXPECT_THAT(Read(1).error, HasSubstr("no volume of pod ns/b"));
  EXPECT_THAT(Problems(), ElementsAre(::testing::AllOf(
                              HasSubstr("pod ns/b and 1 more: mounts no files"),
                              ::testing::Not(HasSubstr("[closes]")))));
}

TEST_F(ClientFilesTest, ACredentialNameIsASecretOfThePodsNamespace) {
  rule_->tls.emplace().mode = ClientTls::Mode::kMutual;
  rule_->tls->credential_name = "s";
  EXPECT_THAT(Read().error, HasSubstr("there is no Secret ns/s"));
  Put("Secret", "s", {{"tls.crt", pair_.first}, {"tls.key", pair_.second}});
  EXPECT_THAT(Read().error, HasSubstr("has no ca.crt"));
  Put("Secret", "s-cacert", {{"cacert", root_.certificate.ToPem()}});
  EXPECT_NE(Read().material, nullptr);
  Put("Secret", "s",
      {{"cert", pair_.first},
       {"key", pair_.second},
       {"cacert", root_.certificate.ToPem()}});
  sets_.erase({"Secret", "ns", "s-cacert"});
  EXPECT_NE(Read().material, nullptr);
  rule_->tls->credential_name = "other/s";
  EXPECT_THAT(Read().error, HasSubstr("only what lies in the pod's own"));
  rule_->tls->credential_name = "configmap://m";
  rule_->tls->mode = ClientTls::Mode::kSimple;
  EXPECT_THAT(Read().error, HasSubstr("ConfigMap ns/m has no ca.crt"));
  Put("ConfigMap", "m", {{"ca.crt", root_.certificate.ToPem()}});
  const auto simple = Read();
  ASSERT_NE(simple.material, nullptr) << simple.error;
  EXPECT_EQ(simple.material->key(), nullptr);
}

TEST_F(ClientFilesTest, TellsWhatItLookedFor) {
  using Wanted = std::set<model::FileSetKey>;
  auto mounts = std::vector<model::ProxyMount>{
      {"/pem", "v", "ConfigMap", "m", {}, ""},
      {"/pem/deeper", "w", "Secret", "d", {}, ""},
      {"/unused", "x", "Secret", "u", {}, ""},
      {"/bad", "y", "", "", {}, "a hostPath"}};
  pods_[0]->proxy_mounts = mounts;
  Read();
  EXPECT_EQ(files_.wanted(), (Wanted{{"ConfigMap", "ns", "m"}}));
  rule_->tls->private_key = "/pem/deeper/key";
  rule_->tls->ca_certificates = "/bad/ca.pem";
  Read();
  EXPECT_EQ(files_.wanted(),
            (Wanted{{"ConfigMap", "ns", "m"}, {"Secret", "ns", "d"}}));
  rule_->tls.emplace().mode = ClientTls::Mode::kMutual;
  rule_->tls->credential_name = "s";
  Read();
  EXPECT_EQ(files_.wanted(), (Wanted{{"Secret", "ns", "s"}}));
  // Without roots in it they are looked for beside it.
  Put("Secret", "s", {{"tls.crt", pair_.first}, {"tls.key", pair_.second}});
  Read();
  EXPECT_EQ(files_.wanted(),
            (Wanted{{"Secret", "ns", "s"}, {"Secret", "ns", "s-cacert"}}));
  rule_->tls->mode = ClientTls::Mode::kSimple;
  rule_->tls->credential_name = "configmap://r";
  Read();
  EXPECT_EQ(files_.wanted(), (Wanted{{"ConfigMap", "ns", "r"},
                                     {"ConfigMap", "ns", "r-cacert"}}));
  rule_->tls->credential_name = "other/s";
  Read();
  EXPECT_EQ(files_.wanted(), Wanted());
  rule_->tls->credential_name = "s";
  pods_[0]->node = "another";
  Read();
  EXPECT_EQ(files_.wanted(), Wanted());
}

TEST_F(ClientFilesTest, PortsHaveMaterialOfTheirOwn) {
  rule_->port_tls[443] = *rule_->tls;
  rule_->tls.reset();
  rule_->port_tls[443]->ca_certificates.clear();  // the system's
  model::Snapshot snapshot;
  snapshot.workloads.assign(pods_.begin(), pods_.end());
  snapshot.destination_rules = {rule_};
  snapshot.file_sets = sets_;
  snapshot.Finish();
  const auto materials = files_.Read(snapshot, "n");
  EXPECT_TRUE(materials->entries.contains(
      pki::ClientMaterials::KeyOf(*pods_[0], *rule_->port_tls[443])));
}

}  // namespace
}  // namespace nodeward::identity
