// SPDX-License-Identifier: Apache-2.0
#include "pki/issuer_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "pki/chain.h"
#include "pki/command.h"
#include "pki/csr.h"
#include "pki/forge.h"

namespace nodeward::pki {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Folders as the tools write them: openssl plays step, certstrap and
// cert-manager, which differ in names and in encodings of the key.
class IssuerFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    Openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        "-days 3650 -subj /CN=root -addext "
        "keyUsage=critical,keyCertSign,cRLSign -keyout " +
        At("root.key") + " -out " + At("root.crt"));
    ASSERT_EQ(mkdir(At("issuer").c_str(), 0700), 0);
  }
  std::string At(const std::string& name) const { return folder_ / name; }
  std::string In(const std::string& name) const { return At("issuer/" + name); }
  void Openssl(const std::string& arguments) {
    const CommandResult result = RunCommand("openssl " + arguments);
    ASSERT_EQ(result.status, 0) << arguments << "\n" << result.output;
  }
  void Shell(const std::string& command) {
    const CommandResult result = RunCommand(command);
    ASSERT_EQ(result.status, 0) << command << "\n" << result.output;
  }
  // An intermediate under root.crt; `algorithm` in req's words.
  void Intermediate(
      const std::string& certificate, const std::string& key,
      const std::string& algorithm = "ec -pkeyopt ec_paramgen_curve:P-256",
      const std::string& parent = "root") {
    Spill(At("ext"),
          "basicConstraints=critical,CA:TRUE\n"
          "keyUsage=critical,keyCertSign,cRLSign\n");
    Openssl("req -newkey " + algorithm + " -nodes -subj /CN=issuer -keyout " +
            key + " -out " + At("csr"));
    Openssl("x509 -req -in " + At("csr") + " -CA " + At(parent + ".crt") +
            " -CAkey " + At(parent + ".key") +
            " -CAcreateserial -days 365 -extfile " + At("ext") + " -out " +
            certificate);
    Shell("chmod 600 " + key);
  }
  base::StatusOr<std::shared_ptr<const Authority>> Load(
      IssuerPlace place = {}) {
    if (place.path.empty()) place.path = At("issuer");
    base::StatusOr<AuthorityParts> parts = ReadIssuer(place);
    if (!parts.ok()) return parts.status();
    return Authority::Create(*std::move(parts), "cluster.local", absl::Now());
  }
  // That openssl follows the chain which a client would get.
  void ExpectIssues(const Authority& authority, const std::string& root) {
    const PrivateKey key = *PrivateKey::GenerateP256();
    const absl::Time now = absl::Now();
    const auto issued = authority.Issue(Id("a"), key.native(),
                                        {.not_before = now - absl::Seconds(20),
                                         .not_after = now + absl::Hours(24)},
                                        now);
    ASSERT_TRUE(issued.ok()) << issued.status();
    EXPECT_TRUE(CheckIssued(*issued, Id("a"), key, now).ok());
    std::string chain;
    for (size_t i = 1; i < issued->chain.size(); ++i) {
      chain += issued->chain[i].ToPem();
    }
    const CommandResult verified = RunCommand(
        "openssl verify -x509_strict -purpose sslclient -CAfile " + root +
        (chain.empty() ? "" : " -untrusted " + Spill(At("chain"), chain)) +
        " " + Spill(At("leaf"), issued->chain[0].ToPem()));
    EXPECT_EQ(verified.status, 0) << verified.output;
  }
  std::string Failure(IssuerPlace place = {}) {
    const auto loaded = Load(std::move(place));
    return loaded.ok() ? "it loaded" : std::string(loaded.status().message());
  }

  TempFolder folder_;
};

TEST_F(IssuerFilesTest, KubernetesTls) {
  Intermediate(In("tls.crt"), In("tls.key"));
  Shell("cp " + At("root.crt") + " " + In("ca.crt"));
  const auto authority = Load();
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_EQ((*authority)->source(), "tls.crt + tls.key in " + At("issuer"));
  EXPECT_THAT((*authority)->warnings(), IsEmpty());
  ASSERT_EQ((*authority)->intermediates().size(), 1u);
  ExpectIssues(**authority, At("root.crt"));
}

TEST_F(IssuerFilesTest, KubernetesTlsNeedsItsRootOrABundle) {
  Intermediate(In("tls.crt"), In("tls.key"));
  EXPECT_THAT(Failure(), HasSubstr("ca.crt containing the trust anchors needs "
                                   "to exist"));
  const auto authority =
      Load({.path = "", .pair = "", .roots = At("root.crt")});
  ASSERT_TRUE(authority.ok()) << authority.status();
  ExpectIssues(**authority, At("root.crt"));
}

TEST_F(IssuerFilesTest, LinkerdWithABundleBeside) {
  Intermediate(In("crt.pem"), In("key.pem"));
  EXPECT_THAT(Failure(), HasSubstr("no root that the issuer leads to"));
  const auto named = Load({.path = "", .pair = "", .roots = At("root.crt")});
  ASSERT_TRUE(named.ok()) << named.status();
  Shell("cp " + At("root.crt") + " " + In("ca-bundle.crt"));
  const auto own = Load();
  ASSERT_TRUE(own.ok()) << own.status();
  ExpectIssues(**own, At("root.crt"));
}

TEST_F(IssuerFilesTest, SelfSignedLinkerdIssuerIsItsOwnRoot) {
  Shell("cp " + At("root.crt") + " " + In("crt.pem"));
  Shell("cp " + At("root.key") + " " + In("key.pem"));
  const auto authority = Load();
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_THAT((*authority)->intermediates(), IsEmpty());
  ExpectIssues(**authority, At("root.crt"));
}

TEST_F(IssuerFilesTest, IstioCacertsWithAnIntermediateInBetween) {
  Intermediate(At("middle.crt"), At("middle.key"));
  Intermediate(In("ca-cert.pem"), In("ca-key.pem"), "rsa:4096", "middle");
  // As istio's own makefile does: signer, what is above, the root.
  Shell("cat " + In("ca-cert.pem") + " " + At("middle.crt") + " " +
        At("root.crt") + " > " + In("cert-chain.pem"));
  Shell("cp " + At("root.crt") + " " + In("root-cert.pem"));
  const auto authority = Load();
  ASSERT_TRUE(authority.ok()) << authority.status();
  // Without the root, each once.
  EXPECT_EQ((*authority)->intermediates().size(), 2u);
  ExpectIssues(**authority, At("root.crt"));
}

TEST_F(IssuerFilesTest, CertstrapSignsWithTheCaAndNotWithTheLeaf) {
  Openssl(
      "req -x509 -newkey rsa:4096 -nodes -days 7300 -subj /CN=MicroCA "
      "-addext keyUsage=critical,keyCertSign,cRLSign -keyout " +
      At("pkcs8") + " -out " + In("MicroCA.crt"));
  Openssl("rsa -traditional -in " + At("pkcs8") + " -out " + In("MicroCA.key"));
  Openssl("req -newkey rsa:2048 -nodes -subj /CN=network -keyout " +
          In("network.key") + " -out " + In("network.csr"));
  Openssl("x509 -req -in " + In("network.csr") + " -CA " + In("MicroCA.crt") +
          " -CAkey " + In("MicroCA.key") + " -CAcreateserial -out " +
          In("network.crt"));
  const auto authority = Load();
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_EQ((*authority)->source(),
            "MicroCA.crt + MicroCA.key in " + At("issuer"));
  ExpectIssues(**authority, In("MicroCA.crt"));
}

TEST_F(IssuerFilesTest, OfRootAndIntermediateTheIntermediateSigns) {
  Shell("cp " + At("root.crt") + " " + At("root.key") + " " + At("issuer"));
  Intermediate(In("site.crt"), In("site.key"));
  // Lies about, is nobody's root here.
  Openssl("req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=other -keyout " +
          At("other.key") + " -out " + In("other.crt"));
  const auto authority = Load();
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_EQ((*authority)->signer().Subject(), "CN=issuer");
  ASSERT_EQ((*authority)->roots().size(), 1u);
  EXPECT_EQ((*authority)->roots()[0].Subject(), "CN=root");
  ExpectIssues(**authority, At("root.crt"));
}

TEST_F(IssuerFilesTest, SeveralIntermediatesNeedAName) {
  Shell("cp " + At("root.crt") + " " + At("issuer"));
  Intermediate(In("a.crt"), In("a.key"));
  Intermediate(In("b.crt"), In("b.key"));
  EXPECT_THAT(Failure(), HasSubstr("several pairs: a.crt, b.crt"));
  const auto authority = Load({.path = "", .pair = "b.crt", .roots = ""});
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_EQ((*authority)->source(), "b.crt + b.key in " + At("issuer"));
}

TEST_F(IssuerFilesTest, CombinedPemInEitherOrder) {
  Intermediate(At("i.crt"), At("i.key"));
  const std::string parts[] = {Slurp(At("i.key")), Slurp(At("i.crt")),
                               Slurp(At("root.crt"))};
  for (const std::string& text :
       {parts[0] + parts[1] + parts[2], parts[2] + parts[1] + parts[0]}) {
    Spill(In("tls-combined.pem"), text);
    const auto folder = Load();
    ASSERT_TRUE(folder.ok()) << folder.status();
    ExpectIssues(**folder, At("root.crt"));
    const auto file =
        Load({.path = In("tls-combined.pem"), .pair = "", .roots = ""});
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE((*file)->SameAs(**folder));
  }
}

TEST_F(IssuerFilesTest, OfBothPairsInOneSecretTheOneThatIsRenewed) {
  Intermediate(In("crt.pem"), In("key.pem"));
  Intermediate(In("tls.crt"), In("tls.key"));
  Shell("cp " + At("root.crt") + " " + In("ca.crt"));
  const auto authority = Load();
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_EQ((*authority)->source(), "tls.crt + tls.key in " + At("issuer"));
  EXPECT_THAT((*authority)->warnings(),
              ElementsAre("two pairs in " + At("issuer") +
                          ": tls.crt + tls.key is used, crt.pem + key.pem is "
                          "not"));
  const auto other = Load({.path = "", .pair = "crt.pem", .roots = ""});
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_FALSE((*other)->SameAs(**authority));
  // Bad, it is still the one.
  Spill(In("tls.crt"), "no certificate");
  EXPECT_THAT(Failure(), HasSubstr("tls.crt"));
}

TEST_F(IssuerFilesTest, MountedSecretIsReadFromOneGeneration) {
  ASSERT_EQ(mkdir(In("..one").c_str(), 0755), 0);
  Intermediate(In("..one/tls.crt"), In("..one/tls.key"));
  Shell("cp " + At("root.crt") + " " + In("..one/ca.crt") + " && chmod 644 " +
        In("..one") + "/*");
  for (const char* name : {"tls.crt", "tls.key", "ca.crt"}) {
    ASSERT_EQ(
        symlink((std::string("..data/") + name).c_str(), In(name).c_str()), 0);
  }
  ASSERT_EQ(symlink("..one", In("..data").c_str()), 0);
  const auto authority = Load();
  ASSERT_TRUE(authority.ok()) << authority.status();
  // 0644 is what Kubernetes makes.
  EXPECT_THAT((*authority)->warnings(), IsEmpty());
}

TEST_F(IssuerFilesTest, KeysOfEveryKind) {
  Shell("cp " + At("root.crt") + " " + In("ca.crt"));
  for (const char* good :
       {"ec -pkeyopt ec_paramgen_curve:P-256",
        "ec -pkeyopt ec_paramgen_curve:P-384", "rsa:2048", "rsa:4096"}) {
    Intermediate(In("tls.crt"), In("tls.key"), good);
    const auto authority = Load();
    ASSERT_TRUE(authority.ok()) << good << ": " << authority.status();
    ExpectIssues(**authority, At("root.crt"));
  }
  Intermediate(In("tls.crt"), In("tls.key"), "ed25519");
  EXPECT_THAT(Failure(), HasSubstr("a key of type ED25519 is not accepted (use "
                                   "EC P-256, EC P-384 or RSA; Envoy and "
                                   "ztunnel refuse Ed25519)"));
  Intermediate(In("tls.crt"), In("tls.key"),
               "ec -pkeyopt ec_paramgen_curve:P-521");
  EXPECT_THAT(Failure(), HasSubstr("secp521r1 is not accepted"));
}

TEST_F(IssuerFilesTest, KeyThatOthersReadIsWarnedOf) {
  Intermediate(In("tls.crt"), In("tls.key"));
  Shell("cp " + At("root.crt") + " " + In("ca.crt") + " && chmod 644 " +
        In("tls.key"));
  const auto authority = Load();
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_THAT((*authority)->warnings(), ElementsAre(HasSubstr("chmod 600")));
}

TEST_F(IssuerFilesTest, WhatIsMissingIsNamed) {
  EXPECT_THAT(Failure(), HasSubstr("no pair in it (tls.crt + tls.key, "));
  Shell("cp " + At("root.crt") + " " + In("tls.crt"));
  EXPECT_THAT(Failure(), HasSubstr("tls.key needs to exist beside tls.crt"));
  EXPECT_THAT(Failure({.path = At("nowhere"), .pair = "", .roots = ""}),
              HasSubstr("No such file"));
}

TEST_F(IssuerFilesTest, RootsOfAFolder) {
  Openssl("req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=old -keyout " +
          At("old.key") + " -out " + In("old.pem"));
  Shell("cp " + At("root.crt") + " " + At("issuer"));
  const auto roots = ReadRoots(At("issuer"));
  ASSERT_TRUE(roots.ok()) << roots.status();
  EXPECT_EQ(roots->size(), 2u);
}

}  // namespace
}  // namespace nodeward::pki
