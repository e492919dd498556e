// SPDX-License-Identifier: Apache-2.0
#include "discovery/catalog.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/text.h"
#include "discovery/endpoints.h"
#include "discovery/opt_in.h"

namespace nodeward::discovery {
namespace {

using model::PeerAuthentication;
using model::Problem;
using model::Snapshot;

// The objects of one kind, each once, with where it stands.
template <typename T>
struct Entry {
  const Object* object;
  const std::string* file;
  const T* content;
};

template <typename T>
using Entries = std::vector<Entry<T>>;

struct Collected {
  Entries<std::shared_ptr<const Namespace>> namespaces;
  Entries<std::shared_ptr<Pod>> pods;
  Entries<std::shared_ptr<const Service>> services;
  Entries<std::shared_ptr<const EndpointSlice>> slices;
  Entries<std::shared_ptr<const PeerAuthentication>> policies;
  Entries<std::shared_ptr<const model::AuthorizationPolicy>> authorization;
  Entries<std::shared_ptr<const model::DestinationRule>> rules;
  Entries<std::shared_ptr<const ServiceEntry>> service_entries;
  Entries<std::shared_ptr<const model::NetworkPolicy>> network_policies;
  Entries<std::shared_ptr<const model::FileSet>> config_maps;
  Entries<std::shared_ptr<const model::FileSet>> secrets;
  std::vector<model::ClosingPolicy> closing;
};

Problem ProblemOf(const Object& object, const std::string& file,
                  std::string reason) {
  return {file, object.line, object.Title(), std::move(reason), false};
}

// Sorts by namespace and name; of several of one name the first file's stays.
template <typename T>
void SortAndUnify(Entries<T>* entries, std::vector<Problem>* problems) {
  const auto key = [](const Entry<T>& entry) {
    return std::tie(*entry.object->name_space, entry.object->name);
  };
  const auto less = [&](const Entry<T>& a, const Entry<T>& b) {
    return key(a) < key(b);
  };
  if (!std::is_sorted(entries->begin(), entries->end(), less)) {
    std::stable_sort(entries->begin(), entries->end(), less);
  }
  const auto same = [&](const Entry<T>& a, const Entry<T>& b) {
    if (key(a) != key(b)) return false;
    problems->push_back(
        ProblemOf(*b.object, *b.file,
                  base::StrCat("is not used: ", *a.file, ":", a.object->line,
                               " has an object of that name already")));
    return true;
  };
  entries->erase(std::unique(entries->begin(), entries->end(), same),
                 entries->end());
}

Collected Collect(const std::map<std::string, Manifest>& files,
                  Snapshot* snapshot) {
  Collected all;
  auto* problems = &snapshot->problems;
  for (const auto& [name, manifest] : files) {
    const std::string& file =
        manifest.place == nullptr ? name : *manifest.place;
    problems->insert(problems->end(), manifest.problems.begin(),
                     manifest.problems.end());
    for (const auto& [kind, count] : manifest.ignored_kinds) {
      snapshot->ignored_kinds[kind] += count;
    }
    for (const Object& object : manifest.objects) {
      problems->insert(problems->end(), object.notes.begin(),
                       object.notes.end());
      const auto add = [&](auto* entries, const auto* content) {
        if (content != nullptr) entries->push_back({&object, &file, content});
        return content != nullptr;
      };
      const auto& content = object.content;
      using std::get_if;
      if (add(&all.pods, get_if<std::shared_ptr<Pod>>(&content)) ||
          add(&all.namespaces,
              get_if<std::shared_ptr<const Namespace>>(&content)) ||
          add(&all.services,
              get_if<std::shared_ptr<const Service>>(&content)) ||
          add(&all.slices,
              get_if<std::shared_ptr<const EndpointSlice>>(&content)) ||
          add(&all.policies,
              get_if<std::shared_ptr<const PeerAuthentication>>(&content)) ||
          add(&all.authorization,
              get_if<std::shared_ptr<const model::AuthorizationPolicy>>(
                  &content)) ||
          add(&all.rules, get_if<std::shared_ptr<const model::DestinationRule>>(
                              &content)) ||
          add(&all.service_entries,
              get_if<std::shared_ptr<const ServiceEntry>>(&content)) ||
          add(&all.network_policies,
              get_if<std::shared_ptr<const model::NetworkPolicy>>(&content)) ||
          add(object.kind == "Secret" ? &all.secrets : &all.config_maps,
              get_if<std::shared_ptr<const model::FileSet>>(&content))) {
        continue;
      }
      if (const auto* closing =
              get_if<std::shared_ptr<const model::ClosingPolicy>>(&content)) {
        all.closing.push_back(**closing);
      }
    }
  }
  SortAndUnify(&all.namespaces, problems);
  SortAndUnify(&all.pods, problems);
  SortAndUnify(&all.services, problems);
  SortAndUnify(&all.slices, problems);
  SortAndUnify(&all.policies, problems);
  SortAndUnify(&all.authorization, problems);
  SortAndUnify(&all.rules, problems);
  SortAndUnify(&all.service_entries, problems);
  SortAndUnify(&all.network_policies, problems);
  SortAndUnify(&all.config_maps, problems);
  SortAndUnify(&all.secrets, problems);
  return all;
}

bool ClaimsAddresses(const Pod& pod) {
  return !pod.host_network && pod.ended->empty();
}

// Live pods that share an address with another one.
absl::flat_hash_set<const Pod*> FindConflicts(
    const Entries<std::shared_ptr<Pod>>& pods, std::vector<Problem>* problems) {
  absl::flat_hash_set<const Pod*> conflicting;
  absl::flat_hash_map<base::IpAddress, size_t> owners;
  owners.reserve(pods.size());
  const auto report = [&](const auto& loser, const auto& other,
                          const base::IpAddress& ip) {
    conflicting.insert(loser.content->get());
    problems->push_back(ProblemOf(
        *loser.object, *loser.file,
        base::StrCat("/status/podIPs: ", ip.ToString(), " is claimed by ",
                     other.object->Title(), " (", *other.file, ":",
                     other.object->line, ") too; both pods are refused")));
  };
  for (size_t i = 0; i < pods.size(); ++i) {
    const Pod& pod = **pods[i].content;
    if (!ClaimsAddresses(pod)) continue;
    for (const base::IpAddress& ip : pod.workload->ips) {
      const auto [owner, fresh] = owners.try_emplace(ip, i);
      if (fresh) continue;
      report(pods[owner->second], pods[i], ip);
      report(pods[i], pods[owner->second], ip);
    }
  }
  return conflicting;
}

void ReportSharedVirtualAddresses(
    const Entries<std::shared_ptr<const Service>>& services,
    std::vector<Problem>* problems) {
  absl::flat_hash_map<base::IpAddress, const Object*> owners;
  for (const auto& entry : services) {
    for (const base::IpAddress& ip : (*entry.content)->cluster_ips) {
      const auto [owner, fresh] = owners.try_emplace(ip, entry.object);
      if (fresh) continue;
      problems->push_back(
          ProblemOf(*entry.object, *entry.file,
                    base::StrCat("/spec/clusterIP: ", ip.ToString(),
                                 " belongs to ", owner->second->Title())));
    }
  }
}

// Behind the cluster's own services, with the workloads that are known.
void AddServiceEntries(
    const Entries<std::shared_ptr<const ServiceEntry>>& entries,
    Snapshot* snapshot) {
  if (entries.empty()) return;
  absl::flat_hash_map<base::IpAddress, std::shared_ptr<const model::Workload>>
      live;
  for (const auto& workload : snapshot->workloads) {
    if (workload->membership == model::Membership::kHostNetwork ||
        workload->membership == model::Membership::kTerminal) {
      continue;
    }
    for (const base::IpAddress& ip : workload->ips) live[ip] = workload;
  }
  for (const auto& entry : entries) {
    for (const model::Service& each : (*entry.content)->services) {
      auto service = std::make_shared<model::Service>(each);
      for (model::ServicePort& port : service->ports) {
        for (model::ServiceEndpoint& endpoint : port.ready) {
          const auto found = live.find(endpoint.address.address);
          if (found == live.end()) continue;
          endpoint.workload = found->second;
          endpoint.node = found->second->node;
        }
      }
      snapshot->services.push_back(std::move(service));
    }
  }
}

// Policies that an older one of the same scope keeps from counting. `policies`
// are the finished snapshot's, `entries` tell where they stand.
void ReportShadowed(
    const Entries<std::shared_ptr<const PeerAuthentication>>& entries,
    Snapshot* snapshot) {
  absl::flat_hash_map<std::string,
                      const Entry<std::shared_ptr<const PeerAuthentication>>*>
      places;
  for (const auto& entry : entries) {
    places[(*entry.content)->QualifiedName()] = &entry;
  }
  const auto report = [&](uint32_t younger, uint32_t older,
                          std::string_view what) {
    const auto& policies = snapshot->peer_authentications;
    const auto* place = places[policies[younger].QualifiedName()];
    snapshot->problems.push_back(
        ProblemOf(*place->object, *place->file,
                  base::StrCat("has no effect", what, ": ",
                               policies[older].QualifiedName(),
                               " is older or comes first by name")));
  };
  for (const auto& [name_space, scope] : snapshot->authentication_scopes) {
    for (size_t i = 1; i < scope.whole.size(); ++i) {
      report(scope.whole[i], scope.whole[0], "");
    }
    if (scope.selecting.size() < 2 || name_space == snapshot->root_namespace) {
      continue;
    }
    std::set<std::pair<uint32_t, uint32_t>> reported;
    for (const auto& workload : snapshot->workloads) {
      if (workload->name_space != name_space) continue;
      const uint32_t* first = nullptr;
      for (const uint32_t& index : scope.selecting) {
        if (!model::Selects(snapshot->peer_authentications[index].selector,
                            workload->labels)) {
          continue;
        }
        if (first == nullptr) {
          first = &index;
        } else if (reported.emplace(index, *first).second) {
          report(index, *first,
                 base::StrCat(" on pod ", workload->QualifiedName()));
        }
      }
    }
  }
}

// Decides whether the pod is in the mesh.
void Enrol(const Namespace* name_space, bool conflicting, Pod* pod) {
  Enrolment enrolment = DecideEnrolment(*pod, name_space);
  if (conflicting) {
    enrolment.membership = model::Membership::kConflict;
    enrolment.reason = "another live pod has one of its addresses";
  }
  const model::Workload& last = *pod->workload;
  const bool requires_mtls = name_space != nullptr && name_space->requires_mtls;
  if (last.membership == enrolment.membership &&
      last.requires_mtls == requires_mtls &&
      last.opted_in == enrolment.opted_in &&
      last.membership_reason == enrolment.reason) {
    return;
  }
  auto workload = std::make_shared<model::Workload>(last);
  workload->membership = enrolment.membership;
  workload->membership_reason = enrolment.reason;
  workload->opted_in = enrolment.opted_in;
  workload->requires_mtls = requires_mtls;
  pod->workload = std::move(workload);
}

}  // namespace

const Manifest* Catalog::Find(const std::string& file) const {
  const auto found = files_.find(file);
  return found == files_.end() ? nullptr : &found->second;
}

void Catalog::Put(const std::string& file, Manifest manifest) {
  files_[file] = std::move(manifest);
}

void Catalog::Retain(const std::string& prefix,
                     const std::function<bool(const std::string&)>& keep) {
  auto file = files_.lower_bound(prefix);
  while (file != files_.end() && file->first.starts_with(prefix)) {
    file = keep(file->first) ? std::next(file) : files_.erase(file);
  }
}

model::SnapshotPtr Catalog::Build(const std::vector<Problem>& problems) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->revision = ++revision_;
  snapshot->trust_domain = options_.trust_domain;
  snapshot->trust_domain_aliases = options_.trust_domain_aliases;
  snapshot->federated_trust_domains = options_.federated_trust_domains;
  snapshot->root_namespace = options_.root_namespace;
  snapshot->problems = problems;
  Collected all = Collect(files_, snapshot.get());

  absl::flat_hash_map<std::string_view, const Namespace*> namespaces;
  for (const auto& entry : all.namespaces) {
    namespaces.emplace(entry.object->name, entry.content->get());
    snapshot->namespace_labels[entry.object->name] = (*entry.content)->labels;
  }
  const auto conflicting = FindConflicts(all.pods, &snapshot->problems);
  snapshot->workloads.reserve(all.pods.size());
  for (const auto& entry : all.pods) {
    const auto found = namespaces.find(*entry.object->name_space);
    Pod* const pod = entry.content->get();
    Enrol(found == namespaces.end() ? nullptr : found->second,
          conflicting.contains(pod), pod);
    snapshot->workloads.push_back(pod->workload);
  }

  std::vector<const Service*> services;
  for (const auto& entry : all.services) {
    services.push_back(entry.content->get());
  }
  std::vector<const EndpointSlice*> slices;
  for (const auto& entry : all.slices) slices.push_back(entry.content->get());
  const EndpointResolver resolver(snapshot->workloads, services, slices);
  for (const Service* service : services) {
    snapshot->services.push_back(resolver.Resolve(*service));
  }
  AddServiceEntries(all.service_entries, snapshot.get());
  ReportSharedVirtualAddresses(all.services, &snapshot->problems);

  for (const auto& entry : all.policies) {
    snapshot->peer_authentications.push_back(**entry.content);
  }
  for (const auto& entry : all.authorization) {
    snapshot->authorization_policies.push_back(*entry.content);
  }
  for (const auto& entry : all.rules) {
    snapshot->destination_rules.push_back(*entry.content);
  }
  for (const auto* sets : {&all.config_maps, &all.secrets}) {
    for (const auto& entry : *sets) {
      const model::FileSet& set = **entry.content;
      snapshot->file_sets[{set.kind, set.name_space, set.name}] =
          *entry.content;
    }
  }
  for (const auto& entry : all.network_policies) {
    snapshot->network_policies.push_back(*entry.content);
  }
  snapshot->path_normalization = options_.path_normalization;
  snapshot->closing_policies = std::move(all.closing);
  snapshot->Finish();
  ReportShadowed(all.policies, snapshot.get());
  std::stable_sort(snapshot->problems.begin(), snapshot->problems.end(),
                   [](const Problem& a, const Problem& b) {
                     return std::tie(a.file, a.line) < std::tie(b.file, b.line);
                   });
  return snapshot;
}

}  // namespace nodeward::discovery
