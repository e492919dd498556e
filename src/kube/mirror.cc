// SPDX-License-Identifier: Apache-2.0
#include "kube/mirror.h"

#include <utility>
#include <variant>

#include "base/text.h"

namespace nodeward::kube {
namespace {

using discovery::Manifest;
using discovery::Object;
using discovery::Pod;

constexpr char kNetnsAnnotation[] = "nodeward.io/netns";

std::string AnnotationOf(const base::Json& object, const char* name) {
  return base::GetString(
      base::GetMember(base::GetMember(object, "metadata"), "annotations"),
      name);
}

std::shared_ptr<Pod>* PodOf(Manifest* manifest) {
  for (Object& object : manifest->objects) {
    if (auto* pod = std::get_if<std::shared_ptr<Pod>>(&object.content)) {
      return pod;
    }
  }
  return nullptr;
}

const Pod* PodOf(const Manifest* manifest) {
  if (manifest == nullptr) return nullptr;
  for (const Object& object : manifest->objects) {
    if (const auto* pod = std::get_if<std::shared_ptr<Pod>>(&object.content)) {
      return pod->get();
    }
  }
  return nullptr;
}

std::string VersionOf(const std::string& path) {
  // "/api/v1/pods", "/apis/GROUP/VERSION/PLURAL"
  const std::string_view whole = path;
  const size_t start = whole.find('/', 1) + 1;
  return std::string(whole.substr(start, whole.rfind('/') - start));
}

// In the catalog; no sink's prefix is in upper case.
std::string FileOf(const model::FileSetKey& key) {
  const auto& [kind, name_space, name] = key;
  return base::StrCat(kind == "Secret" ? "S" : "C", name_space, "/", name);
}

Resource Core(const char* kind, const char* path) {
  return {.kind = kind, .paths = {path}};
}

Resource Custom(const char* kind, const char* group, const char* plural,
                std::initializer_list<const char*> versions) {
  Resource resource{.kind = kind, .paths = {}, .optional = true};
  for (const char* version : versions) {
    resource.paths.push_back(
        base::StrCat("/apis/", group, "/", version, "/", plural));
  }
  return resource;
}

}  // namespace

// The objects of one resource. They are files of the catalog by
// "<prefix><key>".
class Mirror::Sink final : public ObjectSink {
 public:
  Sink(Mirror* mirror, char prefix, Part part, Resource resource)
      : mirror_(mirror),
        prefix_(1, prefix),
        part_(part),
        resource_(std::move(resource)) {}
  void Put(base::Json object) override {
    mirror_->Put(*this, std::move(object));
  }
  void Remove(const std::string& key) override { mirror_->Remove(*this, key); }
  void Synced(const absl::flat_hash_set<std::string>& keys) override {
    mirror_->Retain(*this, keys);
  }
  const std::string& prefix() const { return prefix_; }
  Part part() const { return part_; }
  const Resource& resource() const { return resource_; }

 private:
  Mirror* const mirror_;
  const std::string prefix_;
  const Part part_;
  const Resource resource_;
};

Mirror::Mirror(discovery::ManifestOptions options, std::string node)
    : context_{options.trust_domain, options.root_namespace},
      node_(std::move(node)),
      catalog_(std::move(options)) {
  const auto follow = [this](Part part, Resource resource) {
    const char prefix = static_cast<char>('a' + sinks_.size());
    sinks_.push_back(
        std::make_unique<Sink>(this, prefix, part, std::move(resource)));
  };
  const auto pods = [&](Part part, const std::string& selector) {
    Resource resource = Core("Pod", "/api/v1/pods");
    resource.field_selector = selector;
    follow(part, std::move(resource));
  };
  follow(Part::kOther, Core("Namespace", "/api/v1/namespaces"));
  pods(Part::kOwnPods, "spec.nodeName=" + node_);
  pods(Part::kOtherPods,
       base::StrCat("spec.nodeName!=", node_, ",spec.nodeName!="));
  follow(Part::kOther, Core("Service", "/api/v1/services"));
  follow(Part::kOther,
         Core("EndpointSlice", "/apis/discovery.k8s.io/v1/endpointslices"));
  constexpr char kSecurity[] = "security.istio.io";
  follow(Part::kOther, Custom("PeerAuthentication", kSecurity,
                              "peerauthentications", {"v1", "v1beta1"}));
  follow(Part::kOther, Custom("AuthorizationPolicy", kSecurity,
                              "authorizationpolicies", {"v1", "v1beta1"}));
  constexpr char kNetworking[] = "networking.istio.io";
  const auto networking = {"v1", "v1beta1", "v1alpha3"};
  follow(Part::kOther, Custom("DestinationRule", kNetworking,
                              "destinationrules", networking));
  follow(Part::kOther,
         Custom("ServiceEntry", kNetworking, "serviceentries", networking));
  Resource network =
      Core("NetworkPolicy", "/apis/networking.k8s.io/v1/networkpolicies");
  network.advisory = true;
  follow(Part::kOther, std::move(network));
}

Mirror::~Mirror() = default;

std::vector<Mirror::Followed> Mirror::Wanted() {
  std::vector<Followed> wanted;
  wanted.reserve(sinks_.size());
  for (const auto& sink : sinks_) {
    wanted.push_back({sink->resource(), sink.get()});
  }
  return wanted;
}

// ---- objects ----

void Mirror::Put(const Sink& sink, base::Json object) {
  const std::string file = sink.prefix() + KeyOf(object);
  // The items of a list name neither.
  object["kind"] = sink.resource().kind;
  if (base::GetString(object, "apiVersion").empty()) {
    object["apiVersion"] = VersionOf(sink.resource().paths.front());
  }
  const Manifest* const last = catalog_.Find(file);
  const Part part = sink.part();
  Manifest manifest;
  if (part == Part::kOther) {
    manifest = ReadApiObject(std::move(object), last, context_);
  } else {
    manifest = ReadApiObject(object, last, context_);
    if (part == Part::kOwnPods) {
      PutOwnPod(object, file, &manifest);
    } else {
      PutOtherPod(object, file, &manifest);
    }
    std::shared_ptr<Pod>* const fresh = PodOf(&manifest);
    const Pod* const known = PodOf(last);
    if (fresh != nullptr && known != nullptr && ReadAlike(*known, **fresh)) {
      // A heartbeat of its kubelet, no news.
      return;
    }
  }
  catalog_.Put(file, std::move(manifest));
  changed_ = true;
}

void Mirror::Remove(const Sink& sink, const std::string& key) {
  const std::string file = sink.prefix() + key;
  if (sink.part() == Part::kOwnPods) ForgetOwnPod(file);
  catalog_.Remove(file);
  changed_ = true;
}

void Mirror::Retain(const Sink& sink,
                    const absl::flat_hash_set<std::string>& keys) {
  catalog_.Retain(sink.prefix(), [&](const std::string& file) {
    if (keys.contains(file.substr(sink.prefix().size()))) return true;
    if (sink.part() == Part::kOwnPods) ForgetOwnPod(file);
    return false;
  });
  changed_ = true;
}

void Mirror::PutFiles(const model::FileSetKey& key, base::Json object) {
  object["kind"] = std::get<0>(key);
  object["apiVersion"] = "v1";
  const std::string file = FileOf(key);
  catalog_.Put(file,
               ReadApiObject(std::move(object), catalog_.Find(file), context_));
  changed_ = true;
}

void Mirror::RemoveFiles(const model::FileSetKey& key) {
  const std::string file = FileOf(key);
  if (catalog_.Find(file) == nullptr) return;
  catalog_.Remove(file);
  changed_ = true;
}

// ---- pods ----

void Mirror::SetNetns(Pod* pod) const {
  auto workload = std::make_shared<model::Workload>(*pod->workload);
  workload->netns_path = std::string();
  const auto found = sandboxes_.find(workload->uid);
  if (found != sandboxes_.end() && !pod->host_network) {
    workload->netns_path = found->second.netns;
    // The runtime knows them before the kubelet tells the API server.
    if (workload->ips.empty()) workload->ips = found->second.ips;
  }
  pod->workload = std::move(workload);
}

void Mirror::PutOwnPod(const base::Json& object, const std::string& file,
                       Manifest* manifest) {
  std::shared_ptr<Pod>* const pod = PodOf(manifest);
  if (pod == nullptr) return;
  auto changed = std::make_shared<Pod>(**pod);
  SetNetns(changed.get());
  *pod = std::move(changed);
  const model::Workload& workload = *(*pod)->workload;
  ForgetOwnPod(file);  // it may be another one of the same name
  own_[workload.uid] = {workload.name_space, workload.name,
                        AnnotationOf(object, kMark) == kMarked &&
                            AnnotationOf(object, kOurMark) == kMarked};
  if (AnnotationOf(object, kNetnsAnnotation).empty()) return;
  Object& read = manifest->objects.front();
  read.notes.push_back(
      {*manifest->place, 0, read.Title(),
       base::StrCat("/metadata/annotations/",
                    "nodeward.io~1netns: has no "
                    "effect: the container runtime tells the namespace"),
       false, false});
}

void Mirror::PutOtherPod(const base::Json& object, const std::string& file,
                         Manifest* manifest) {
  std::shared_ptr<Pod>* const pod = PodOf(manifest);
  if (pod == nullptr) return;
  auto changed = std::make_shared<Pod>(**pod);
  auto workload = std::make_shared<model::Workload>(*changed->workload);
  workload->netns_path = std::string();
  workload->probe_ports = std::vector<uint16_t>();
  workload->proxy_mounts = std::vector<model::ProxyMount>();
  changed->awaits_mark = AnnotationOf(object, kMark) != kMarked;
  const Pod* const known = PodOf(catalog_.Find(file));
  if (known != nullptr && known->workload->uid == workload->uid) {
    // Until the next snapshot decides anew.
    workload->membership = known->workload->membership;
    workload->membership_reason = known->workload->membership_reason;
    workload->opted_in = known->workload->opted_in;
    workload->requires_mtls = known->workload->requires_mtls;
    if (workload->opted_in && !known->awaits_mark) changed->awaits_mark = false;
  }
  changed->workload = std::move(workload);
  *pod = std::move(changed);
}

void Mirror::ForgetOwnPod(const std::string& file) {
  const Pod* const pod = PodOf(catalog_.Find(file));
  if (pod != nullptr) own_.erase(pod->workload->uid);
}

void Mirror::SetSandboxes(const cri::Sandboxes& sandboxes) {
  const cri::Sandboxes former = std::exchange(sandboxes_, sandboxes);
  for (const auto& sink : sinks_) {
    if (sink->part() != Part::kOwnPods) continue;
    for (const auto& [uid, own] : own_) {
      const std::string file =
          base::StrCat(sink->prefix(), own.name_space, "/", own.name);
      const Manifest* const known = catalog_.Find(file);
      if (known == nullptr) continue;
      Manifest manifest = *known;
      std::shared_ptr<Pod>* const pod = PodOf(&manifest);
      if (pod == nullptr || (*pod)->workload->uid != uid) continue;
      auto moved = std::make_shared<Pod>(**pod);
      const auto left = former.find(uid);
      if (left != former.end() && moved->workload->ips == left->second.ips) {
        auto workload = std::make_shared<model::Workload>(*moved->workload);
        workload->ips.clear();
        moved->workload = std::move(workload);
      }
      SetNetns(moved.get());
      if (ReadAlike(**pod, *moved)) continue;
      *pod = std::move(moved);
      catalog_.Put(file, std::move(manifest));
      changed_ = true;
    }
  }
}

std::set<std::string> Mirror::SandboxedPods() const {
  std::set<std::string> pods;
  for (const auto& sink : sinks_) {
    if (sink->part() != Part::kOwnPods) continue;
    for (const auto& [uid, own] : own_) {
      const Pod* const pod = PodOf(catalog_.Find(
          base::StrCat(sink->prefix(), own.name_space, "/", own.name)));
      if (pod != nullptr && !pod->host_network && pod->ended->empty()) {
        pods.insert(uid);
      }
    }
  }
  return pods;
}

model::SnapshotPtr Mirror::Build() {
  changed_ = false;
  return catalog_.Build({});
}

}  // namespace nodeward::kube
