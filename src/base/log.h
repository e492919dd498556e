// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/status.h"

namespace nodeward::base {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kText, kJson };

struct LogField {
  std::string_view key;
  std::string value;
};

// Process-wide, thread-safe, to standard error. Before the first call: text at
// level info.
void ConfigureLog(LogLevel level, LogFormat format);
StatusOr<LogLevel> ParseLogLevel(std::string_view text);
StatusOr<LogFormat> ParseLogFormat(std::string_view text);
bool LogEnabled(LogLevel level);

// One line: time, level, message, key=value fields (text) or one JSON object.
// Control characters in values are escaped. Never a key or a token.
void Log(LogLevel level, std::string_view message,
         std::initializer_list<LogField> fields = {});

inline void LogDebug(std::string_view message,
                     std::initializer_list<LogField> fields = {}) {
  if (LogEnabled(LogLevel::kDebug)) Log(LogLevel::kDebug, message, fields);
}
inline void LogInfo(std::string_view message,
                    std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, message, fields);
}
inline void LogWarn(std::string_view message,
                    std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarn, message, fields);
}
inline void LogError(std::string_view message,
                     std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, message, fields);
}

}  // namespace nodeward::base
