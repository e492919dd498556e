// SPDX-License-Identifier: Apache-2.0
//
// With certificates as people make them by hand: X.509 v1 leaves without names,
// that outlive their CA.
#include "pki/client_material.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509_vfy.h>

#include "base/text.h"
#include "pki/command.h"

namespace nodeward::pki {
namespace {

using base::StrCat;
using ::testing::HasSubstr;

constexpr char kMake[] = R"(
  openssl req -out ca.pem -new -x509 -days 3650 -passout pass:secret \
    -subj /C=CN/CN=root &&
  openssl genrsa -out server.key 2048 &&
  openssl req -key server.key -new -out server.req -subj /C=CN/CN=mongo &&
  openssl x509 -req -in server.req -CAkey privkey.pem -passin pass:secret \
    -CA ca.pem -days 36500 -CAcreateserial -CAserial serial -out server.crt &&
  cat server.key server.crt > server.pem &&
  openssl req -key server.key -new -out named.req -subj /CN=ignored.example &&
  printf 'subjectAltName=DNS:db.example,DNS:*.wild.example,IP:10.0.0.1,%s' \
    URI:spiffe://x/ns/a/sa/b > names &&
  openssl x509 -req -in named.req -CAkey privkey.pem -passin pass:secret \
    -CA ca.pem -days 100 -CAserial serial -extfile names -out named.crt)";

class ClientMaterialTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder();
    const auto made = RunCommand(StrCat("cd ", folder_->path(), " &&", kMake));
    ASSERT_EQ(made.status, 0) << made.output;
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string PathOf(const std::string& name) { return *folder_ / name; }
  static std::string Read(const std::string& name) {
    return Slurp(PathOf(name));
  }
  static base::StatusOr<std::shared_ptr<const ClientMaterial>> Make(
      const std::string& certificate, const std::string& key,
      const std::string& roots, const std::string& revocations = "") {
    ClientMaterial::Texts texts;
    if (!certificate.empty()) texts.certificate = {"/c", certificate};
    if (!key.empty()) texts.key = {"/k", key};
    if (!roots.empty()) texts.roots = {"/ca", roots};
    if (!revocations.empty()) texts.revocations = {"/crl", revocations};
    return ClientMaterial::Create(texts);
  }
  static std::string Why(const std::string& certificate, const std::string& key,
                         const std::string& roots,
                         const std::string& revocations = "") {
    const auto made = Make(certificate, key, roots, revocations);
    return made.ok() ? "" : std::string(made.status().message());
  }
  // What becomes of a server that shows `name`.
  static std::string Judge(const std::string& name,
                           const ExpectedServer& expected,
                           const std::string& roots = "ca.pem") {
    const auto made = Make("", "", Read(roots));
    EXPECT_TRUE(made.ok()) << made.status();
    const auto leaf = Certificate::ParsePem(Read(name));
    EXPECT_TRUE(leaf.ok()) << leaf.status();
    int code = -1;
    const base::Status status =
        (*made)->CheckServer({.leaf = leaf->native()}, expected, &code);
    EXPECT_EQ(status.ok(), code == X509_V_OK);
    return std::string(status.message());
  }

 private:
  static TempFolder* folder_;
};
TempFolder* ClientMaterialTest::folder_ = nullptr;

TEST_F(ClientMaterialTest, TakesOneFileForBoth) {
  const auto made = Make(Read("server.pem"), Read("server.pem"), "");
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ((*made)->chain().size(), 1u);
  EXPECT_TRUE((*made)->chain()[0].Matches(*(*made)->key()));
  EXPECT_EQ((*Make("", "", Read("ca.pem")))->key(), nullptr);
}

TEST_F(ClientMaterialTest, TellsWhichFileIsWrong) {
  const std::string pem = Read("server.pem");
  EXPECT_THAT(Why("x", pem, ""), HasSubstr("/c: read certificate"));
  EXPECT_THAT(Why(pem, Read("ca.pem"), ""), HasSubstr("/k: read private key"));
  EXPECT_THAT(Why(pem, Read("privkey.pem"), ""),
              HasSubstr("/k: read private key: it is encrypted"));
  EXPECT_EQ(Why(Read("ca.pem"), pem, ""),
            "the key in /k is not that of the certificate in /c");
  EXPECT_THAT(Why("", "", "x"), HasSubstr("/ca: read certificate"));
  EXPECT_THAT(Why("", "", Read("ca.pem"), "x"),
              HasSubstr("/crl: read revocation list"));
}

TEST_F(ClientMaterialTest, TheChainIsAllWhereNoNameIsAskedFor) {
  EXPECT_EQ(Judge("server.crt", {}), "");
  EXPECT_EQ(Judge("named.crt", {}), "");
  EXPECT_THAT(Judge("server.crt", {}, "server.pem"), "");  // pinned
  EXPECT_THAT(Judge("ca.pem", {}, "server.pem"),
              HasSubstr("not among the trusted roots"));
  EXPECT_THAT(Judge("server.crt", {}, "named.crt"),
              HasSubstr("not among the trusted roots"));
}

TEST_F(ClientMaterialTest, WithoutRootsTheSystemsCount) {
  const auto judge = [&](const char* file) {
    setenv("SSL_CERT_FILE", PathOf(file).c_str(), 1);
    setenv("SSL_CERT_DIR", PathOf("none").c_str(), 1);
    std::string why = Judge("server.crt", {}, "");
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    return why;
  };
  EXPECT_EQ(judge("ca.pem"), "");
  EXPECT_THAT(judge("none"), HasSubstr("not among the trusted roots"));
}

TEST_F(ClientMaterialTest, NamesMustBeAmongTheAlternativeOnes) {
  for (const char* name : {"db.example", "a.wild.example", "10.0.0.1",
                           "spiffe://x/ns/a/sa/b", "DB.example"}) {
    EXPECT_EQ(Judge("named.crt", {.sni = name}), "") << name;
    EXPECT_EQ(Judge("named.crt", {.sni = "x", .names = {"y", name}}), "");
  }
  for (const char* name :
       {"other.example", "ignored.example", "a.b.wild.example", "10.0.0.2",
        "spiffe://x/ns/a/sa/c", "example"}) {
    EXPECT_THAT(Judge("named.crt", {.sni = name}),
                HasSubstr(StrCat("is not for ", name)));
  }
  // The subject's CN is no name.
  EXPECT_THAT(Judge("server.crt", {.sni = "mongo"}),
              HasSubstr("is not for mongo"));
  EXPECT_THAT(Judge("named.crt", {.sni = "db.example", .names = {"y", "z"}}),
              HasSubstr("is not for y or z"));
}

TEST_F(ClientMaterialTest, AnybodyIsAnybody) {
  EXPECT_EQ(Judge("ca.pem", {.sni = "x", .anybody = true}, "server.pem"), "");
}

TEST_F(ClientMaterialTest, WithRevocationListsEveryCaNeedsOne) {
  TempFolder other;
  const auto made = RunCommand(StrCat(
      "cd ", other.path(),
      " && openssl req -out ca.pem -keyout k -nodes -new -x509 -days 9 -subj "
      "/CN=c && openssl genrsa -out s.key 2048 && openssl req -key s.key -new "
      "-subj /CN=s | openssl x509 -req -CA ca.pem -CAkey k -set_serial 7 -days "
      "9 -out s.crt && touch index && printf '[ca]\\ndefault_ca=d\\n[d]\\n"
      "database=index\\ndefault_md=sha256\\n' > conf && openssl ca -config "
      "conf -gencrl -crldays 9 -cert ca.pem -keyfile k -out good.crl && "
      "openssl ca -config conf -revoke s.crt -cert ca.pem -keyfile k && "
      "openssl ca -config conf -gencrl -crldays 9 -cert ca.pem -keyfile k -out "
      "bad.crl"));
  ASSERT_EQ(made.status, 0) << made.output;
  const auto leaf = Certificate::ParsePem(Slurp(other / "s.crt"));
  ASSERT_TRUE(leaf.ok());
  const auto judge = [&](const std::string& list) {
    const auto material = Make("", "", Slurp(other / "ca.pem"), list);
    EXPECT_TRUE(material.ok()) << material.status();
    int code = 0;
    return (*material)->CheckServer({.leaf = leaf->native()}, {}, &code).ok();
  };
  EXPECT_TRUE(judge(""));
  EXPECT_TRUE(judge(Slurp(other / "good.crl")));
  EXPECT_FALSE(judge(Slurp(other / "bad.crl")));
}

TEST_F(ClientMaterialTest, KeysTellClientsAndPartsApart) {
  model::Workload pod;
  pod.uid = "u";
  model::ClientTls tls;
  tls.client_certificate = "/c";
  const std::string key = ClientMaterials::KeyOf(pod, tls);
  EXPECT_EQ(ClientMaterials::KeyOf(pod, tls), key);
  model::ClientTls other = tls;
  other.client_certificate.clear();
  other.private_key = "/c";
  EXPECT_NE(ClientMaterials::KeyOf(pod, other), key);
  // Who the server must be plays no part.
  other = tls;
  other.sni = "x";
  EXPECT_EQ(ClientMaterials::KeyOf(pod, other), key);
  pod.uid = "v";
  EXPECT_NE(ClientMaterials::KeyOf(pod, tls), key);
}

}  // namespace
}  // namespace nodeward::pki
