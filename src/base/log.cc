// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/json.h"
#include "base/text.h"

namespace nodeward::base {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<LogFormat> g_format{LogFormat::kText};

spdlog::logger& Sink() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger(
        "nodeward", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::debug);
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %l %v",
                      spdlog::pattern_time_type::utc);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

// A value that came from outside must not forge a second line or field.
std::string Escape(std::string_view value) {
  bool plain = !value.empty();
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f || c == '"' || c == '\\' || c == '=') {
      plain = false;
    }
  }
  if (plain) return std::string(value);
  return Json(std::string(value))
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

void ConfigureLog(LogLevel level, LogFormat format) {
  g_level = level;
  g_format = format;
  Sink().set_pattern(
      format == LogFormat::kJson ? "%v" : "%Y-%m-%dT%H:%M:%S.%fZ %l %v",
      spdlog::pattern_time_type::utc);
}

StatusOr<LogLevel> ParseLogLevel(std::string_view text) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (text == Name(level)) return level;
  }
  return absl::InvalidArgumentError(
      StrCat("parse log level '", text, "': use debug, info, warn or error"));
}

StatusOr<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return absl::InvalidArgumentError(
      StrCat("parse log format '", text, "': use text or json"));
}

bool LogEnabled(LogLevel level) { return level >= g_level.load(); }

void Log(LogLevel level, std::string_view message,
         std::initializer_list<LogField> fields) {
  if (!LogEnabled(level)) return;
  std::string line;
  if (g_format == LogFormat::kJson) {
    Json json;
    json["time"] =
        absl::FormatTime(absl::RFC3339_full, absl::Now(), absl::UTCTimeZone());
    json["level"] = Name(level);
    json["message"] = message;
    for (const LogField& field : fields) {
      json[std::string(field.key)] = field.value;
    }
    line = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  } else {
    // Our own words need no quotes; a control character in them would.
    for (const char c : message) {
      line.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
    }
    for (const LogField& field : fields) {
      StrAppend(&line, " ", field.key, "=", Escape(field.value));
    }
  }
  Sink().log(ToSpdlog(level), spdlog::string_view_t(line));
}

}  // namespace nodeward::base
