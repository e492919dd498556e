# SPDX-License-Identifier: Apache-2.0
"""A scenario: a function that takes a Scenario and checks things."""
import argparse
import os
import signal
import sys
import time
import traceback

from .cluster import Cluster


class Scenario:
    """Counts what was checked; `cluster()` makes what is needed."""

    def __init__(self, binary):
        self.binary = binary
        self.failures = 0
        self.checks = 0
        self._clusters = []
        with open(binary, "rb") as file:
            program = file.read()
        # Such a build is slower and takes more memory.
        self.sanitizer = b"__asan_init" in program or b"__tsan_init" in program

    def cluster(self, **options):
        made = Cluster(self.binary, name=f"nwt{len(self._clusters)}-",
                       **options)
        self._clusters.append(made)
        return made

    def trio(self, start=True, service=(8000, 80), **options):
        """The cluster most scenarios need: mesh/server on node-b behind a
        Service, mesh/client and legacy/client on node-a; agents started."""
        cluster = self.cluster(**options)
        cluster.namespace("mesh", mesh="enabled")
        cluster.namespace("legacy")
        cluster.server = cluster.pod("mesh/server", "node-b",
                                     ports={"http": service[1]})
        cluster.client = cluster.pod("mesh/client", "node-a")
        cluster.legacy = cluster.pod("legacy/client", "node-a")
        cluster.vip4, cluster.vip6 = cluster.service(
            "mesh/server", {"tcp": service})
        if start:
            cluster.start_agents()
            cluster.await_enrolled(cluster.server, cluster.client)
        return cluster

    def check(self, what, seen, expected):
        """Notes and prints; a miss does not end the scenario."""
        self.checks += 1
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

    def show_logs(self):
        for cluster in self._clusters:
            for agent in cluster.agents():
                print(f"--- agent {agent.node.name}, end of its log")
                print("\n".join(agent.log().splitlines()[-40:]))

    def close(self):
        for cluster in self._clusters:
            cluster.close()


def _interrupted(number, _frame):
    raise SystemExit(128 + number)


def main(function):
    """Runs `function(scenario)` as a program; the exit status tells."""
    parser = argparse.ArgumentParser(description=function.__doc__)
    parser.add_argument("--binary", default=os.environ.get(
        "NODEWARD", os.path.join(os.path.dirname(__file__),
                                 "../../../build/nodeward")))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGINT, _interrupted)
    begin = time.monotonic()
    scenario = Scenario(arguments.binary)
    try:
        function(scenario)
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
        scenario.failures += 1
    finally:
        if scenario.failures:
            scenario.show_logs()
        try:
            scenario.close()
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            scenario.failures += 1
    print(f"{scenario.checks} checks, {scenario.failures} failures, "
          f"{time.monotonic() - begin:.1f} s")
    sys.exit(1 if scenario.failures else 0)
