// SPDX-License-Identifier: Apache-2.0
#include "ca/config.h"

#include <string_view>
#include <utility>

#include "base/text.h"
#include "ca/caller.h"
#include "ca/kubernetes_place.h"
#include "model/identity.h"

namespace nodeward::ca {
namespace {

// A leaf that outlives its revocation by more than this is a mistake.
constexpr absl::Duration kLongest = absl::Hours(24 * 90);
constexpr absl::Duration kShortest = absl::Seconds(10);

class Mistakes {
 public:
  void Add(std::string_view flag, std::string_view what) {
    base::StrAppend(&text_, text_.empty() ? "" : "\n", "--", flag, ": ", what);
  }
  base::Status ToStatus() const {
    return text_.empty() ? base::OkStatus() : absl::InvalidArgumentError(text_);
  }

 private:
  std::string text_;
};

void ReadDuration(std::string_view flag, const std::string& text,
                  absl::Duration low, absl::Duration high, Mistakes* mistakes,
                  absl::Duration* out) {
  if (!absl::ParseDuration(text, out) || *out < low || *out > high) {
    mistakes->Add(flag, base::StrCat("'", text, "' is not a duration from ",
                                     absl::FormatDuration(low), " to ",
                                     absl::FormatDuration(high)));
  }
}

void ReadEndpoint(std::string_view flag, const std::string& text,
                  Mistakes* mistakes, base::Endpoint* out) {
  // Port 0, any free one, is no endpoint to anybody else.
  const bool any = text.ends_with(":0");
  auto endpoint =
      base::Endpoint::Parse(any ? text.substr(0, text.size() - 1) + "1" : text);
  if (endpoint.ok()) {
    if (any) endpoint->port = 0;
    *out = *endpoint;
  } else {
    mistakes->Add(flag, base::StrCat("'", text,
                                     "' is not ADDRESS:PORT ([::]:15012, "
                                     "127.0.0.1:0)"));
  }
}

void ReadNames(const Options& options, Mistakes* mistakes, Config* config) {
  for (const std::string& name : options.names) {
    const auto address = base::IpAddress::Parse(name);
    if (address.ok()) {
      config->names.addresses.push_back(*address);
    } else {
      config->names.dns.push_back(name);
    }
  }
  if (options.names.empty()) {
    mistakes->Add("name", "the name is needed by which clients call the CA");
  }
}

void ReadAgents(const Options& options, Mistakes* mistakes, Config* config) {
  for (const std::string& agent : options.trusted_agents) {
    const size_t slash = agent.find('/');
    const auto caller =
        slash == std::string::npos
            ? base::StatusOr<Caller>(absl::InvalidArgumentError(""))
            : ParseUsername(
                  base::StrCat("system:serviceaccount:", agent.substr(0, slash),
                               ":", agent.substr(slash + 1)));
    if (!caller.ok()) {
      mistakes->Add("trusted-agent",
                    base::StrCat("'", agent, "' is not NAMESPACE/ACCOUNT"));
      continue;
    }
    config->trusted_agents.insert(
        {caller->name_space, caller->service_account});
  }
}

void ReadPlace(std::string_view flag, const std::string& text, bool kubernetes,
               Mistakes* mistakes, std::optional<ObjectName>* out) {
  if (text.empty()) return;
  auto place = ParseObjectName(text);
  if (!place.ok()) {
    mistakes->Add(flag, std::string(place.status().message()));
  } else if (!kubernetes) {
    mistakes->Add(flag, "it needs --kubernetes");
  } else {
    *out = *std::move(place);
  }
}

void ReadPlaces(const Options& options, Mistakes* mistakes, Config* config) {
  ReadPlace("publish-roots", options.publish_roots, options.kubernetes,
            mistakes, &config->publish_roots);
  ReadPlace("lease", options.lease, options.kubernetes, mistakes,
            &config->lease);
  ReadPlace("events-on", options.events_on, options.kubernetes, mistakes,
            &config->events_on);
  config->publish_to_namespaces = options.publish_to_namespaces;
  if (options.publish_to_namespaces && options.publish_roots.empty()) {
    mistakes->Add("publish-to-namespaces", "it needs --publish-roots");
  }
}

void ReadKubernetes(const Options& options, Mistakes* mistakes,
                    Config* config) {
  ReadPlaces(options, mistakes, config);
  if (!options.kubernetes) return;
  auto place = FindKubernetes({options.kubernetes_api, options.kubernetes_ca,
                               options.kubernetes_token});
  if (place.ok()) {
    config->kubernetes_api = std::move(place->api);
    config->kubernetes_ca = std::move(place->ca);
    config->kubernetes_token = std::move(place->token);
  } else {
    mistakes->Add("kubernetes-api", std::string(place.status().message()));
  }
  if (options.audiences.empty()) {
    mistakes->Add("audience", "one is needed");
  }
}

void ReadLimits(const Options& options, Mistakes* mistakes, Config* config) {
  config->rate = options.rate;
  config->burst = options.burst;
  config->in_flight = options.in_flight;
  if (!(options.rate > 0)) mistakes->Add("rate", "more than 0 is needed");
  if (!(options.burst >= 1)) mistakes->Add("burst", "1 or more is needed");
  if (options.in_flight < 1) mistakes->Add("in-flight", "1 or more is needed");
}

void ReadDurations(const Options& options, Mistakes* mistakes, Config* config) {
  ReadDuration("lifetime", options.lifetime, kShortest, kLongest, mistakes,
               &config->lifetime);
  ReadDuration("max-lifetime", options.max_lifetime, kShortest, kLongest,
               mistakes, &config->max_lifetime);
  if (config->lifetime > config->max_lifetime) {
    mistakes->Add("lifetime", "it is longer than --max-lifetime");
  }
  ReadDuration("clock-skew", options.clock_skew, absl::ZeroDuration(),
               absl::Hours(1), mistakes, &config->clock_skew);
  ReadDuration("drain", options.drain, absl::ZeroDuration(), absl::Hours(1),
               mistakes, &config->drain);
}

void ReadLog(const Options& options, Mistakes* mistakes, Config* config) {
  const auto level = base::ParseLogLevel(options.log_level);
  if (level.ok()) {
    config->log_level = *level;
  } else {
    mistakes->Add("log-level", std::string(level.status().message()));
  }
  const auto format = base::ParseLogFormat(options.log_format);
  if (format.ok()) {
    config->log_format = *format;
  } else {
    mistakes->Add("log-format", std::string(format.status().message()));
  }
}

}  // namespace

base::StatusOr<Config> CheckOptions(const Options& options) {
  Config config;
  Mistakes mistakes;
  config.issuer = {options.issuer, options.issuer_pair, options.roots};
  if (options.issuer.empty()) {
    mistakes.Add("issuer",
                 "a folder or PEM file is needed (nodeward ca init and "
                 "issue-intermediate make one)");
  }
  config.trust_domain = options.trust_domain;
  if (!model::Identity::ParseSpiffe(
           base::StrCat("spiffe://", options.trust_domain, "/ns/a/sa/b"))
           .ok()) {
    mistakes.Add("trust-domain",
                 base::StrCat("'", options.trust_domain,
                              "' is not 1-255 of a-z 0-9 . _ -"));
  }
  ReadEndpoint("listen", options.listen, &mistakes, &config.listen);
  ReadNames(options, &mistakes, &config);
  config.serve_admin = !options.admin.empty();
  if (config.serve_admin) {
    ReadEndpoint("admin", options.admin, &mistakes, &config.admin);
  }
  ReadDurations(options, &mistakes, &config);
  config.token_file = options.token_file;
  ReadKubernetes(options, &mistakes, &config);
  if (config.token_file.empty() == !options.kubernetes) {
    mistakes.Add("kubernetes",
                 "exactly one of --kubernetes and --token-file says whose "
                 "tokens count");
  }
  config.audiences = options.audiences;
  ReadAgents(options, &mistakes, &config);
  config.manifests = options.manifests;
  ReadLimits(options, &mistakes, &config);
  ReadLog(options, &mistakes, &config);
  NODEWARD_TRY(mistakes.ToStatus());
  return config;
}

}  // namespace nodeward::ca
