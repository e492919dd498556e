# SPDX-License-Identifier: Apache-2.0
"""bench/run, once Python and its libraries are there."""
import argparse
import datetime
import json
import os
import pathlib
import signal
import sys

from lib import install, machine
from lib.bench import Bench
from lib.plan import Plan
from lib.plots import draw_all
from lib.process import Failure
from lib.progress import Progress
from lib.report import goals_table, report
from lib.results import Results
from lib.runner import run_all
from lib.scenarios import all_scenarios
from lib.systems import ALL, PEERS

RESULTS = install.REPOSITORY / "bench" / "results"


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
    parser.add_argument("--no-build", action="store_true",
                        help="use build/nodeward as it is")
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


def results_folder(options):
    """A new folder: of the day, with a number from the second on."""
    if options.results:
        folder = pathlib.Path(options.results).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    day = datetime.date.today().isoformat()
    RESULTS.mkdir(exist_ok=True)
    for number in range(1, 1000):
        folder = RESULTS / (day if number == 1 else f"{day}-{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            continue
    raise Failure(f"{RESULTS} holds a thousand runs of this day")


def write(options, description, scenarios, results, progress):
    folder = results_folder(options)
    progress.say(f"writing {folder}")
    rows = results.rows(scenarios)
    (folder / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    (folder / "machine.json").write_text(
        json.dumps(description, indent=1) + "\n")
    (folder / "rounds.json").write_text(
        json.dumps(results.values, indent=1) + "\n")
    plots = draw_all(folder, scenarios, results)
    (folder / "report.md").write_text(
        report(description, scenarios, results, plots))
    if not options.results:
        link = RESULTS / "latest.new"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        link.rename(RESULTS / "latest")
    return rows


def main(words):
    parser, options = parse(words)
    scenarios, systems = choose(parser, options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    progress = Progress()
    command = " ".join(["bench/run", *words])
    plan = Plan.of(options.quick, options.rounds)
    results = Results()
    try:
        product = any(name not in PEERS for name in systems)
        install.packages(progress, product and not options.no_build)
        with Bench(plan, progress) as bench:
            if any(name.startswith("envoy") for name in systems):
                bench.envoy = install.envoy(progress)
            if product:
                bench.nodeward = install.BUILD / "nodeward" \
                    if options.no_build else install.build_product(progress)
            description = machine.describe(command, plan, bench)
            run_all(bench, scenarios, systems, results)
        rows = write(options, description, scenarios, results, progress)
    except Failure as failure:
        print(f"bench/run: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench/run: interrupted; everything is removed, nothing was "
              "written", file=sys.stderr)
        return 130
    print("\n" + goals_table(rows, scenarios))
    for failure in results.failures:
        print(f"FAILED {failure}")
    return 1 if results.failures else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
