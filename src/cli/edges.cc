// SPDX-License-Identifier: Apache-2.0
#include "cli/edges.h"

#include <utility>
#include <vector>

#include "base/text.h"
#include "cli/table.h"
#include "model/identity.h"

namespace nodeward::cli {
namespace {

using base::GetString;
using base::Json;

// "sleep.full" of spiffe://cluster.local/ns/full/sa/sleep.
std::string ShortIdentity(const std::string& spiffe) {
  const auto identity = model::Identity::ParseSpiffe(spiffe);
  if (!identity.ok()) return spiffe;
  return base::StrCat(identity->service_account, ".", identity->name_space);
}

// Only an agent that says there is no reason says secured: a row without one,
// or with one of another type, is unknown.
std::string Secured(const Json& edge) {
  const std::string reason = GetString(edge, "no_tls_reason", "unknown");
  return reason.empty() ? "√" : reason;
}

void PrintTable(std::ostream& out, const Json& edges, bool wide) {
  Table table;
  std::vector<std::string> row = {"SRC", "DST", "SRC_NS", "DST_NS"};
  if (wide) row.insert(row.end(), {"CLIENT_ID", "SERVER_ID"});
  row.push_back("SECURED");
  table.Add(std::move(row));
  for (const Json& edge : edges) {
    row = {GetString(edge, "src"), GetString(edge, "dst"),
           GetString(edge, "src_namespace"), GetString(edge, "dst_namespace")};
    if (wide) {
      row.push_back(ShortIdentity(GetString(edge, "client_id")));
      row.push_back(ShortIdentity(GetString(edge, "server_id")));
    }
    row.push_back(Secured(edge));
    const std::string refusal = GetString(edge, "last_refusal");
    if (wide && !refusal.empty() &&
        (row.back() == "refused" || row.back() == "failed")) {
      base::StrAppend(&row.back(), ": ", refusal);
    }
    table.Add(std::move(row));
  }
  table.Print(out);
}

}  // namespace

base::StatusOr<int> Edges(Environment& environment,
                          const EdgesOptions& options) {
  NODEWARD_ASSIGN(const Json result,
                  environment.ask_agent(options.run_dir, "edges",
                                        {{"namespace", options.name_space}}));
  const Json& edges = base::GetMember(result, "edges");
  if (!edges.is_array()) {
    return absl::InternalError("the agent's answer has no edges");
  }
  if (base::GetBool(result, "truncated")) {
    environment.err << "nodeward edges: there are too many edges for the agent "
                       "to remember; some are missing\n";
  }
  if (options.output == "json") {
    environment.out << edges.dump(2, ' ', false, Json::error_handler_t::replace)
                    << "\n";
  } else if (edges.empty()) {
    environment.out << "No edges found.\n";
  } else {
    PrintTable(environment.out, edges, options.output == "wide");
  }
  return kOk;
}

}  // namespace nodeward::cli
