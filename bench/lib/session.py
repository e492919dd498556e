# SPDX-License-Identifier: Apache-2.0
"""A run from its options to its folder of results."""
import datetime
import json
import pathlib
import signal
import sys

from lib import install, machine
from lib.bench import Bench
from lib.plan import Plan
from lib.plots import draw_all
from lib.process import Failure
from lib.progress import Progress
from lib.report import goals_table, report, summary
from lib.results import Results
from lib.runner import run_all
from lib.systems import PEERS

RESULTS = install.REPOSITORY / "bench" / "results"


def measure(options, command, scenarios, systems):
    """Everything; returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    progress = Progress()
    plan = Plan.of(options.quick, options.rounds)
    results = Results()
    try:
        with Bench(plan, progress) as bench:
            if any(name.startswith("envoy") for name in systems):
                bench.envoy = install.envoy(progress)
            if any(name not in PEERS for name in systems):
                bench.nodeward = install.given_product(options.nodeward) \
                    if options.nodeward else install.build_product(progress)
            description = machine.describe(command, plan, bench)
            run_all(bench, scenarios, systems, results)
        rows = _write(options, description, scenarios, results, progress)
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


def _folder(options):
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


def _write(options, description, scenarios, results, progress):
    folder = _folder(options)
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
    (folder / "summary.md").write_text(
        summary(description, scenarios, results))
    if not options.results:
        link = RESULTS / "latest.new"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        link.rename(RESULTS / "latest")
    return rows
