// SPDX-License-Identifier: Apache-2.0
#include "cli/tap.h"

#include <array>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "cli/table.h"
#include "model/identity.h"

namespace nodeward::cli {
namespace {

using base::GetInt;
using base::GetMember;
using base::GetString;
using base::Json;
using base::StrAppend;
using base::StrCat;

// The names that gRPC's libraries print.
constexpr std::array<std::string_view, 17> kGrpcCodes = {"OK",
                                                         "Canceled",
                                                         "Unknown",
                                                         "InvalidArgument",
                                                         "DeadlineExceeded",
                                                         "NotFound",
                                                         "AlreadyExists",
                                                         "PermissionDenied",
                                                         "ResourceExhausted",
                                                         "FailedPrecondition",
                                                         "Aborted",
                                                         "OutOfRange",
                                                         "Unimplemented",
                                                         "Internal",
                                                         "Unavailable",
                                                         "DataLoss",
                                                         "Unauthenticated"};

std::string GrpcText(int64_t code) {
  if (code < 0 || code >= static_cast<int64_t>(kGrpcCodes.size())) {
    return StrCat("Code(", code, ")");
  }
  return std::string(kGrpcCodes[static_cast<size_t>(code)]);
}

std::string ShortIdentity(const std::string& spiffe) {
  const auto identity = model::Identity::ParseSpiffe(spiffe);
  if (!identity.ok()) return spiffe;
  return StrCat(identity->service_account, ".", identity->name_space);
}

std::string_view ProxyText(const std::string& proxy) {
  if (proxy == "in") return "in ";
  return proxy == "out" ? "out" : "???";
}

// "rsp id=0:1 proxy=out src=… dst=… tls=true :status=200 latency=2731µs"
std::string LineOf(const Json& event) {
  const std::string kind = GetString(event, "event", "???");
  std::string line =
      StrCat(kind, " id=", GetInt(event, "base"), ":", GetInt(event, "stream"),
             " proxy=", ProxyText(GetString(event, "proxy")),
             " src=", GetString(event, "src"), " dst=", GetString(event, "dst"),
             " tls=", GetString(event, "tls"));
  if (kind == "req") {
    StrAppend(&line, " :method=", GetString(event, "method"),
              " :authority=", GetString(event, "authority"),
              " :path=", GetString(event, "path"));
  } else if (kind == "rsp") {
    StrAppend(&line, " :status=", GetInt(event, "status"),
              " latency=", GetInt(event, "latency_us"), "µs");
  } else if (kind == "end") {
    if (GetMember(event, "grpc_status").is_number_integer()) {
      StrAppend(&line, " grpc-status=", GrpcText(GetInt(event, "grpc_status")));
    }
    const std::string reset = GetString(event, "reset_error");
    if (!reset.empty()) StrAppend(&line, " reset-error=", reset);
    StrAppend(&line, " duration=", GetInt(event, "duration_us"), "µs",
              " response-length=", GetInt(event, "response_length"), "B");
  } else if (kind == "close") {
    StrAppend(&line, " outcome=", GetString(event, "outcome"),
              " duration=", GetInt(event, "duration_us"), "µs",
              " sent=", GetInt(event, "sent"), "B",
              " received=", GetInt(event, "received"), "B");
  }
  return line;
}

std::string Labels(const Json& event) {
  std::string labels;
  for (const std::string end : {"src", "dst"}) {
    for (const std::string label : {"pod", "workload", "namespace"}) {
      const std::string value = GetString(event, StrCat(end, "_", label));
      if (!value.empty()) StrAppend(&labels, " ", end, "_", label, "=", value);
    }
    const std::string id = GetString(event, end + "_identity");
    if (!id.empty()) {
      StrAppend(&labels, " ", end, "_identity=", ShortIdentity(id));
    }
  }
  const std::string service = GetString(event, "dst_service");
  if (!service.empty()) StrAppend(&labels, " dst_service=", service);
  return labels;
}

void PrintMissed(std::ostream& err, const Json& last) {
  if (const int64_t lost = GetInt(last, "lost"); lost > 0) {
    err << "nodeward tap: " << lost
        << " lines were lost: they were not read fast enough\n";
  }
  if (const int64_t over = GetInt(last, "over_limit"); over > 0) {
    err << "nodeward tap: " << over
        << " requests were left out: more than --max-rps in a second\n";
  }
}

}  // namespace

base::StatusOr<int> Tap(Environment& environment, const TapOptions& options) {
  const Json arguments = {{"resource", options.resource},
                          {"namespace", options.name_space},
                          {"to", options.to},
                          {"to_namespace", options.to_namespace},
                          {"method", options.method},
                          {"path", options.path},
                          {"authority", options.authority},
                          {"max_rps", options.max_rps}};
  const bool json = options.output == "json";
  const bool wide = options.output == "wide";
  const auto print = [&](const Json& event) {
    if (base::GetBool(event, "last")) {
      PrintMissed(environment.err, event);
      return false;
    }
    if (json) {
      environment.out << event.dump(-1, ' ', true,
                                    Json::error_handler_t::replace);
    } else {
      std::string line = LineOf(event);
      if (wide) line += Labels(event);
      environment.out << Printable(line);
    }
    // At once, for whoever reads along.
    environment.out << "\n" << std::flush;
    return environment.out.good();
  };
  NODEWARD_TRY(
      environment.follow_agent(options.run_dir, "tap", arguments, print));
  return kOk;
}

}  // namespace nodeward::cli
