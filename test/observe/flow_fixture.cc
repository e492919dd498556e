// SPDX-License-Identifier: Apache-2.0
#include "observe/flow_fixture.h"

#include <utility>

namespace nodeward::observe {

std::shared_ptr<const model::Workload> MakeWorkload(
    const std::string& name_space, const std::string& workload_name) {
  auto workload = std::make_shared<model::Workload>();
  workload->name = workload_name + "-7d4f9-abcde";
  workload->name_space = name_space;
  workload->uid = name_space + "/" + workload->name;
  workload->workload_name = workload_name;
  workload->identity = {"cluster.local", name_space, workload_name};
  workload->app = workload_name;
  workload->version = "v1";
  workload->canonical_service = workload_name;
  workload->canonical_revision = "v1";
  workload->membership = model::Membership::kEnabled;
  return workload;
}

Flow MakeFlow(uint64_t id, Reporter reporter,
              std::shared_ptr<const model::Workload> source,
              std::shared_ptr<const model::Workload> destination) {
  Flow flow;
  flow.id = id;
  flow.reporter = reporter;
  flow.security = Security::kMutualTls;
  flow.outcome = Outcome::kClosed;
  flow.opened = absl::FromUnixSeconds(1000);
  flow.duration = absl::Microseconds(3250);
  flow.source = *base::Endpoint::Parse("10.0.0.7:41234");
  flow.destination = *base::Endpoint::Parse("10.96.0.9:8000");
  flow.upstream = *base::Endpoint::Parse("10.0.1.9:80");
  if (source) flow.source_identity = {source, &*source->identity};
  if (destination)
    flow.destination_identity = {destination, &*destination->identity};
  flow.source_workload = std::move(source);
  flow.destination_workload = std::move(destination);
  flow.bytes_sent = 78;
  flow.bytes_received = 512;
  return flow;
}

Flow MakePlaintext(uint64_t id, std::shared_ptr<const model::Workload> source,
                   std::shared_ptr<const model::Workload> destination) {
  Flow flow = MakeFlow(id, Reporter::kDestination, std::move(source),
                       std::move(destination));
  flow.security = Security::kPlaintext;
  flow.source_identity.reset();
  flow.destination_identity.reset();
  return flow;
}

}  // namespace nodeward::observe
