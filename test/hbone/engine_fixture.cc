// SPDX-License-Identifier: Apache-2.0
#include "hbone/engine_fixture.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/synchronization/notification.h"
#include "base/text.h"
#include "io/socket.h"
#include "pki/csr.h"

namespace nodeward::hbone {
namespace {

// A namespace of its own for this process: the addresses and port 15008 are
// free. Threads started later live in it.
void EnterOwnNetwork() {
  static const bool entered = [] {
    EXPECT_EQ(unshare(CLONE_NEWNET), 0) << "run the tests as root";
    const base::Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    EXPECT_EQ(ioctl(fd.get(), SIOCSIFFLAGS, &request), 0);
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return true;
  }();
  (void)entered;
}

base::Fd Connecting(const base::IpAddress& from, const base::Endpoint& to,
                    base::Status* status) {
  base::Fd fd(
      socket(from.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // The port is chosen at connect: bind would look through all of them.
  const int one = 1;
  setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
  sockaddr_storage address;
  const socklen_t length = base::Endpoint{from, 0}.ToSockaddr(&address);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  if (to.port != 0) *status = io::StartConnect(fd.get(), to);
  return fd;
}

}  // namespace

void Flows::Opened(const observe::Flow& flow) {
  base::MutexLock lock(&mutex_);
  opened_.push_back(flow);
}

void Flows::Closed(const observe::Flow& flow) {
  base::MutexLock lock(&mutex_);
  closed_.push_back(flow);
}

std::vector<observe::Flow> Flows::opened() const {
  base::MutexLock lock(&mutex_);
  return opened_;
}

std::vector<observe::Flow> Flows::closed() const {
  base::MutexLock lock(&mutex_);
  return closed_;
}

std::optional<observe::Flow> Flows::AwaitClosed(
    observe::Outcome outcome) const {
  std::optional<observe::Flow> found;
  const bool there = Await([&] {
    for (const observe::Flow& flow : closed()) {
      if (flow.outcome == outcome) {
        found = flow;
        return true;
      }
    }
    return false;
  });
  if (!there) {
    for (const observe::Flow& flow : closed()) {
      ADD_FAILURE() << "closed instead: " << observe::OutcomeText(flow.outcome)
                    << " " << flow.detail;
    }
  }
  return found;
}

base::Endpoint ApplicationOf(const base::Endpoint& at) {
  auto bytes = at.address.bytes();
  bytes[13] = 1;
  return {base::IpAddress::Bytes(bytes), at.port};
}

base::StatusOr<base::Fd> FakeNetwork::OpenOutgoing(int) {
  base::Status status;
  base::Fd fd = Connecting(ip_, {}, &status);
  return fd;
}

base::StatusOr<base::Fd> FakeNetwork::ConnectOnward(
    const base::IpAddress& client, const base::Endpoint& application) {
  ++dialled;
  base::Status status;
  base::Fd fd = Connecting(client, ApplicationOf(application), &status);
  if (!status.ok()) return status;
  return fd;
}

std::optional<base::Endpoint> FakeNetwork::TakeOriginalDestination(
    const base::Endpoint& peer, const base::Endpoint&) {
  base::MutexLock lock(&mutex_);
  const auto node = originals_.extract(peer.port);
  if (node.empty()) return std::nullopt;
  return node.mapped();
}

void FakeNetwork::Expect(uint16_t client_port,
                         const base::Endpoint& destination) {
  base::MutexLock lock(&mutex_);
  originals_[client_port] = destination;
}

EngineTest::EngineTest() {
  EnterOwnNetwork();
  options.workers = 2;
  std::string name = "/tmp/nodeward-hbone-XXXXXX";
  folder_ = mkdtemp(name.data());
  auto made = pki::EmbeddedCa::Open(
      {.folder = folder_ + "/ca", .trust_domain = "cluster.local"});
  EXPECT_TRUE(made.ok()) << made.status();
  ca = *std::move(made);
}

EngineTest::~EngineTest() {
  a_.engine.reset();
  b_.engine.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

EngineTest::Node& EngineTest::Started(Node* node) {
  if (node->engine == nullptr) {
    auto bundle = std::make_shared<pki::TrustBundle>();
    bundle->trust_domain = "cluster.local";
    bundle->roots.push_back(ca->root());
    node->credentials.SetBundle(bundle);
    auto engine = Engine::Start(options, &node->credentials, &node->flows);
    EXPECT_TRUE(engine.ok()) << engine.status();
    node->engine = *std::move(engine);
    node->engine->SetClientMaterials(materials);
    if (published_ != nullptr) node->engine->SetSnapshot(published_, nullptr);
  }
  return *node;
}

TestPod EngineTest::MakePod(const std::string& name) {
  return MakePodAt(name,
                   *base::IpAddress::Parse(base::StrCat("127.0.9.", next_++)));
}

TestPod EngineTest::MakePodAt(const std::string& name,
                              const base::IpAddress& ip) {
  TestPod pod;
  pod.ip = ip;
  pod.network = std::make_shared<FakeNetwork>(pod.ip);
  pod.workload = std::make_shared<model::Workload>();
  model::Workload& workload = *pod.workload;
  workload.uid = "uid-" + name;
  workload.name = name;
  workload.name_space = "full";
  workload.identity = {"cluster.local", "full", name};
  workload.ips = {pod.ip};
  workload.labels = {{"app", name}};
  workload.workload_name = workload.canonical_service = name;
  workload.canonical_revision = "v1";
  workload.membership = model::Membership::kEnabled;
  workload.opted_in = true;
  workloads.push_back(pod.workload);
  return pod;
}

void EngineTest::GiveCredential(Node& node, const model::Identity& identity) {
  auto key = pki::PrivateKey::GenerateP256();
  ASSERT_TRUE(key.ok()) << key.status();
  auto csr = pki::MakeCsr(*key, identity);
  ASSERT_TRUE(csr.ok()) << csr.status();
  base::StatusOr<pki::Issued> issued = absl::UnknownError("not called");
  ca->Issue(identity, *csr, [&](base::StatusOr<pki::Issued> result) {
    issued = std::move(result);
  });
  ASSERT_TRUE(issued.ok()) << issued.status();
  node.credentials.Put(std::make_shared<pki::Credential>(pki::Credential{
      identity, issued->chain, *std::move(key), ++generation_}));
  node.engine->CredentialsChanged();
}

std::string EngineTest::RootKey() const {
  std::ifstream file(folder_ + "/ca/ca.key");
  return {std::istreambuf_iterator<char>(file), {}};
}

void EngineTest::Enrol(Node& node, TestPod& pod, bool with_credential) {
  if (with_credential) GiveCredential(node, pod.workload->identity);
  LocalPod local;
  local.uid = pod.workload->uid;
  local.network = pod.network;
  local.listeners.outbound4 = ListenOn({pod.ip, 0});
  pod.outbound = *io::LocalEndpoint(local.listeners.outbound4.get());
  local.listeners.inbound4 = ListenOn({pod.ip, kPort});
  local.listeners.hbone = ListenOn({pod.ip, 15008});
  node.engine->AddPod(std::move(local));
}

void EngineTest::Publish() {
  auto snapshot = std::make_shared<model::Snapshot>();
  snapshot->trust_domain = "cluster.local";
  for (const auto& workload : workloads) {
    snapshot->workloads.push_back(std::make_shared<model::Workload>(*workload));
  }
  for (const auto& service : services) snapshot->services.push_back(service);
  snapshot->peer_authentications = policies;
  snapshot->authorization_policies = authorization;
  snapshot->destination_rules = rules;
  snapshot->network_policies = network_policies;
  snapshot->Finish();
  published_ = snapshot;
  for (Node* node : {&a_, &b_}) {
    if (node->engine == nullptr) continue;
    absl::Notification done;
    node->engine->SetClientMaterials(materials);
    node->engine->SetSnapshot(published_, [&] { done.Notify(); });
    ASSERT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(30)));
  }
}

void EngineTest::Strict(const std::string& name, model::MtlsMode mode) {
  model::PeerAuthentication policy;
  policy.name = name;
  policy.name_space = "full";
  policy.selector = {{"app", name}};
  policy.mode = mode;
  policies = {policy};
  Publish();
}

Tcp EngineTest::Connect(TestPod& pod, const base::Endpoint& destination) {
  base::Fd fd = BoundSocket({pod.ip, 0});
  pod.network->Expect(io::LocalEndpoint(fd.get())->port, destination);
  sockaddr_storage address;
  const socklen_t length = pod.outbound.ToSockaddr(&address);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0)
      << strerror(errno);
  return Tcp(std::move(fd));
}

}  // namespace nodeward::hbone
