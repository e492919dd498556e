#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Scenarios on a real cluster of two nodes; test/cluster/run builds and calls
it."""
import argparse
import importlib.util
import os
import re
import signal
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

# pylint: disable=wrong-import-position
from kube import KubeCluster  # noqa: E402
from mesh import Mesh  # noqa: E402


class Checks:
    """Counts what was checked, and says it."""

    def __init__(self):
        self.count = self.failures = 0

    def check(self, what, seen, expected):
        """Notes and prints; a miss does not end the scenario."""
        self.count += 1
        if seen == expected:
            print(f"ok    {what}: {seen}", flush=True)
        else:
            self.failures += 1
            print(f"FAIL  {what}: saw {seen!r}, expected {expected!r}",
                  flush=True)

    def that(self, what, truth):
        self.check(what, bool(truth), True)

    def note(self, text):
        print(f"      {text}", flush=True)


def scenarios(everything, only):
    """The modules to run, by the order of their names."""
    chosen = []
    for name in sorted(os.listdir(HERE)):
        if not re.match(r"\d", name) or not name.endswith(".py"):
            continue
        spec = importlib.util.spec_from_file_location(
            name[:-3], f"{HERE}/{name}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if re.search(only, name) if only else everything or not getattr(
                module, "ONLY_WITH_ALL", False):
            chosen.append(module)
    return chosen


def _interrupted(number, _frame):
    raise SystemExit(128 + number)


def run_one(module, checks, mesh):
    print(f"\n=== {module.__name__}: {module.__doc__.strip()}", flush=True)
    begin, before = time.monotonic(), checks.failures
    try:
        module.scenario(checks, mesh)
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
        checks.failures += 1
    print(f"=== {'ok' if checks.failures == before else 'FAILED'}, "
          f"{time.monotonic() - begin:.0f} s", flush=True)


def show_entry(cluster):
    """For --keep."""
    enter = " ".join(cluster.a.enter())
    print(f"""
the cluster goes on until you press Ctrl-C. In another terminal, as root:
  {enter} env KUBECONFIG={cluster.plane.folder}/admin.kubeconfig PATH={
    cluster.programs}:$PATH bash
  kubectl get pods -A -o wide""", flush=True)
    signal.pause()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--logs", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    modules = scenarios(options.all, options.only)
    if not modules and not options.keep:
        parser.error(f"no scenario is called like {options.only}")
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGINT, _interrupted)
    begin = time.monotonic()
    checks = Checks()

    def tell(what):
        print(f"{time.monotonic() - begin:5.0f} s  {what}", flush=True)
    folder = tempfile.mkdtemp(prefix=f"nodeward-cluster-{os.getpid()}-")
    cluster = KubeCluster(folder, f"nwk{os.getpid()}", options.binary, tell)
    try:
        cluster.start()
        mesh = Mesh(cluster)
        for module in modules:
            run_one(module, checks, mesh)
        if options.keep:
            show_entry(cluster)
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
        checks.failures += 1
        if checks.count == 0:
            print(cluster.logs())
    finally:
        end(cluster, options.logs, checks)
    print(f"\n{checks.count} checks, {checks.failures} failures, "
          f"{time.monotonic() - begin:.0f} s; logs: {options.logs}")
    sys.exit(1 if checks.failures else 0)


def end(cluster, logs, checks):
    for part in (lambda: cluster.keep_logs(logs), cluster.close):
        try:
            part()
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            checks.failures += 1


if __name__ == "__main__":
    main()
