// SPDX-License-Identifier: Apache-2.0
#include "observe/access_log.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/json.h"
#include "base/text.h"

namespace nodeward::observe {
namespace {

using base::Json;
using base::StrAppend;
using base::StrCat;

// One end of the connection as the line shows it.
struct End {
  std::string address;
  std::string workload;
  std::string name_space;
  std::string identity;
};

End EndOf(const base::Endpoint& address, const model::Workload* workload,
          const model::Identity* identity) {
  End end;
  if (!address.address.is_unspecified()) end.address = address.ToString();
  if (workload != nullptr) {
    end.workload = workload->workload_name;
    end.name_space = workload->name_space;
  }
  if (identity != nullptr) end.identity = identity->ToSpiffe();
  return end;
}

void PutText(Json& line, const char* key, std::string value) {
  if (!value.empty()) line[key] = std::move(value);
}

Json Fields(const Flow& flow) {
  const End source = EndOf(flow.source, flow.source_workload.get(),
                           flow.source_identity.get());
  const End destination =
      EndOf(flow.destination, flow.destination_workload.get(),
            flow.destination_identity.get());
  Json line = Json::object();
  line["direction"] =
      flow.reporter == Reporter::kSource ? "outbound" : "inbound";
  PutText(line, "src.addr", source.address);
  PutText(line, "src.workload", source.workload);
  PutText(line, "src.namespace", source.name_space);
  PutText(line, "src.identity", source.identity);
  PutText(line, "dst.addr", destination.address);
  if (flow.upstream != flow.destination &&
      !flow.upstream.address.is_unspecified()) {
    PutText(line, "dst.upstream", flow.upstream.ToString());
  }
  PutText(line, "dst.workload", destination.workload);
  PutText(line, "dst.namespace", destination.name_space);
  PutText(line, "dst.service",
          flow.service == nullptr ? "" : flow.service->Hostname());
  PutText(line, "dst.identity", destination.identity);
  line["security"] = SecurityText(flow.security);
  line["verdict"] = IsRefusal(flow.outcome) ? "refused" : "allowed";
  line["outcome"] = OutcomeText(flow.outcome);
  PutText(line, "policy", flow.policy);
  line["bytes_sent"] = flow.bytes_sent;
  line["bytes_recv"] = flow.bytes_received;
  line["duration"] = absl::ToDoubleSeconds(flow.duration);
  PutText(line, "reason", flow.detail);
  return line;
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string Quoted(const Json& value) {
  if (!value.is_string()) return Dump(value);
  const std::string text = value.get<std::string>();
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '"' || c == '\\' || c == '=') {
      return Dump(value);
    }
  }
  return text;
}

std::string Text(const Flow& flow, const Json& fields) {
  // Every field in every line, so that columns can be cut out.
  constexpr const char* kOrder[] = {
      "direction",     "src.addr",    "src.workload", "src.namespace",
      "src.identity",  "dst.addr",    "dst.upstream", "dst.workload",
      "dst.namespace", "dst.service", "dst.identity", "security",
      "verdict",       "outcome",     "policy",       "bytes_sent",
      "bytes_recv",    "duration",    "reason"};
  std::string line;
  for (const char* key : kOrder) {
    const Json& value = base::GetMember(fields, key);
    StrAppend(&line, " ", key, "=");
    if (value.is_null()) {
      StrAppend(&line, "-");
    } else if (value.is_number_float()) {
      StrAppend(&line, absl::FormatDuration(
                           absl::Trunc(flow.duration, absl::Microseconds(1))));
    } else {
      StrAppend(&line, Quoted(value));
    }
  }
  return line;
}

std::string TimeText(absl::Time now) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", now, absl::UTCTimeZone());
}

void WriteStandardOutput(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    // Nobody reads it: the connections go on all the same.
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

std::string AccessLine(const Flow& flow, absl::Time now,
                       base::LogFormat format) {
  const std::string time = TimeText(now);
  Json fields = Fields(flow);
  if (format == base::LogFormat::kText) {
    return StrCat(time, " info access", Text(flow, fields));
  }
  Json line = {{"time", time}, {"level", "info"}, {"message", "access"}};
  line.update(fields);
  return Dump(line);
}

AccessLog::AccessLog(base::LogFormat format,
                     std::function<void(std::string_view)> write)
    : format_(format), write_(write ? std::move(write) : WriteStandardOutput) {}

void AccessLog::Add(const Flow& flow, absl::Time now) {
  if (!base::LogEnabled(base::LogLevel::kInfo)) return;
  if (IsRefusal(flow.outcome) && !Admits(flow.outcome, now)) return;
  StrAppend(&lines_, AccessLine(flow, now, format_), "\n");
}

bool AccessLog::Admits(Outcome outcome, absl::Time now) {
  Second& second = seconds_[outcome];
  // Also when the clock was set back.
  if (now < second.begin || now >= second.begin + absl::Seconds(1)) {
    TellLeftOut(outcome, now, &second);
    second = {.begin = now};
  }
  if (second.written >= kRefusalsPerSecond) {
    ++second.left_out;
    return false;
  }
  ++second.written;
  return true;
}

void AccessLog::TellLeftOut(Outcome outcome, absl::Time now, Second* second) {
  const uint64_t count = std::exchange(second->left_out, 0);
  if (count == 0) return;
  if (format_ == base::LogFormat::kText) {
    StrAppend(&lines_, TimeText(now),
              " info access_left_out outcome=", OutcomeText(outcome),
              " lines=", count, "\n");
    return;
  }
  const Json line = {{"time", TimeText(now)},
                     {"level", "info"},
                     {"message", "access_left_out"},
                     {"outcome", OutcomeText(outcome)},
                     {"lines", count}};
  StrAppend(&lines_, Dump(line), "\n");
}

bool AccessLog::Flush(absl::Time now, bool last) {
  bool more = false;
  for (auto& [outcome, second] : seconds_) {
    if (last || now < second.begin || now >= second.begin + absl::Seconds(1)) {
      TellLeftOut(outcome, now, &second);
    }
    more = more || second.left_out > 0;
  }
  if (lines_.empty()) return more;
  write_(lines_);
  lines_.clear();
  // One storm must not pin its peak for ever.
  if (lines_.capacity() > (1 << 20)) lines_.shrink_to_fit();
  return more;
}

}  // namespace nodeward::observe
