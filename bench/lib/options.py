# SPDX-License-Identifier: Apache-2.0
"""The command line of bench/run."""
import argparse

from lib.scenarios import all_scenarios
from lib.systems import ALL, PEERS


def parse(words):
    scenarios = [scenario.name for scenario in all_scenarios()]
    parser = argparse.ArgumentParser(
        prog="bench/run", formatter_class=argparse.RawTextHelpFormatter,
        description="Measures nodeward against no mesh, Envoy sidecars and "
        "HAProxy sidecars\non two nodes made of network namespaces. Needs "
        "root (uses sudo when it is not).\nWrites bench/results/<date>/ "
        "(results.json, report.md, plots) and the link\n"
        "bench/results/latest.",
        epilog="scenarios: " + " ".join(scenarios) +
        "\nsystems:   " + " ".join(ALL))
    parser.add_argument(
        "--quick", action="store_true",
        help="short loads and one round: under 3 minutes once everything is "
        "built")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME[,NAME]",
        help="only these scenarios and systems (a scenario's name may end in "
        "*)")
    parser.add_argument("--rounds", type=int, metavar="N",
                        help="rounds of a scenario (5; with --quick 1)")
    parser.add_argument(
        "--peers", metavar="NAME[,NAME]", default=",".join(PEERS),
        help="what nodeward is compared with (default: " +
        ",".join(PEERS) + ")")
    parser.add_argument("--nodeward", metavar="FILE",
                        help="measure this program instead of building one")
    parser.add_argument("--results", metavar="DIR",
                        help="write there instead of bench/results/<date>")
    options = parser.parse_args(words)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return parser, options


def choose(parser, options):
    """The scenarios and the names of the systems that were asked for."""
    peers = _names([options.peers])
    unknown = [name for name in peers if name not in PEERS]
    if unknown:
        parser.error(f"--peers: no peer {unknown[0]!r}; known: "
                     f"{', '.join(PEERS)}")
    systems = [name for name in ALL if name in peers or name not in PEERS]
    scenarios = [scenario for scenario in all_scenarios()
                 if scenario.quick or not options.quick]
    wanted = _names(options.only)
    chosen = [name for name in wanted if name in ALL]
    patterns = [name for name in wanted if name not in ALL]
    if chosen:
        systems = [name for name in ALL if name in chosen]
    if patterns:
        kept = []
        for pattern in patterns:
            found = [scenario for scenario in all_scenarios()
                     if scenario.name == pattern or pattern.endswith("*") and
                     scenario.name.startswith(pattern[:-1])]
            if not found:
                parser.error(f"--only: no scenario or system {pattern!r}; "
                             "see --help")
            kept += [scenario.name for scenario in found]
        scenarios = [scenario for scenario in all_scenarios()
                     if scenario.name in kept]
    return scenarios, systems


def _names(texts):
    return [name for text in texts for name in text.split(",") if name]
