// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "modes.h"

namespace {

using nodeward::load::Address;
using nodeward::load::Options;

struct Mode {
  const char* name;
  int (*run)(const Options&);
  const char* help;
};

constexpr Mode kModes[] = {
    {"serve", nodeward::load::Serve, "echo everything (--to is the listener)"},
    {"pingpong", nodeward::load::PingPong, "one message in flight each"},
    {"churn", nodeward::load::Churn, "new connections, --connections at once"},
    {"hold", nodeward::load::Hold, "open and keep until stdin ends"},
    {"dial", nodeward::load::Dial, "time connect() alone, --count times"},
    {"watch", nodeward::load::Watch, "try until --until answer|refusal"},
};

int Usage(std::FILE* to) {
  std::fprintf(to,
               "usage: nodeward-load MODE --to IP:PORT [--connections N] "
               "[--size BYTES]\n"
               "         [--seconds S] [--warmup S] [--count N]\n"
               "         [--until answer|refusal] [--pause-ms MS]\nmodes:\n");
  for (const Mode& mode : kModes) {
    std::fprintf(to, "  %-9s %s\n", mode.name, mode.help);
  }
  return to == stdout ? 0 : 2;
}

bool Read(int argc, char** argv, Options* options) {
  const option known[] = {{"to", required_argument, nullptr, 't'},
                          {"connections", required_argument, nullptr, 'c'},
                          {"size", required_argument, nullptr, 's'},
                          {"seconds", required_argument, nullptr, 'd'},
                          {"warmup", required_argument, nullptr, 'w'},
                          {"count", required_argument, nullptr, 'n'},
                          {"until", required_argument, nullptr, 'u'},
                          {"pause-ms", required_argument, nullptr, 'p'},
                          {nullptr, 0, nullptr, 0}};
  for (int key; (key = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    switch (key) {
      case 't':
        if (Address::Parse(optarg, &options->to)) break;
        std::fprintf(stderr, "nodeward-load: --to %s: not IP:PORT\n", optarg);
        return false;
      case 'c':
        options->connections = std::atoi(optarg);
        break;
      case 's':
        options->size = std::atoi(optarg);
        break;
      case 'd':
        options->seconds = std::atof(optarg);
        break;
      case 'w':
        options->warmup = std::atof(optarg);
        break;
      case 'n':
        options->count = std::atoi(optarg);
        break;
      case 'u':
        options->until = optarg;
        break;
      case 'p':
        options->pause_ms = std::atof(optarg);
        break;
      default:
        return false;
    }
  }
  return options->to.length > 0 && options->connections > 0 &&
         options->size > 0 && options->size <= 65536 && options->seconds > 0 &&
         options->count > 0 && optind == argc;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (argc > 1 && std::strcmp(argv[1], "--help") == 0) return Usage(stdout);
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  for (const Mode& mode : kModes) {
    if (argc < 2 || std::strcmp(argv[1], mode.name) != 0) continue;
    Options options;
    if (!Read(argc - 1, argv + 1, &options)) return Usage(stderr);
    return mode.run(options);
  }
  return Usage(stderr);
}
