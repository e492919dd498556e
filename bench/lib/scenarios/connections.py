# SPDX-License-Identifier: Apache-2.0
import json
import time

from lib.process import Failure, Process
from lib.scenarios.base import PROXIED, Metric, Scenario
from lib.tools import ECHO_PORT


class Churn(Scenario):
    """connect, 64 B each way, close; eight at once."""

    name = "connections"
    title = "new connections, 8 at once"
    metrics = (Metric("rate", "1/s", True), Metric("cpu each", "µs"),
               Metric("p50", "µs"), Metric("p99", "µs"))

    def measure(self, bench, system):
        before = system.cpu_seconds()
        found = bench.tools.measure(
            system, "churn", system.server.ip, seconds=bench.plan.seconds,
            warmup=0.2, connections=8)
        if found["failed"] > 0:
            raise Failure(f"{found['failed']} of {found['total']} connections "
                          "failed")
        values = {name: found[name] for name in ("rate", "p50", "p99")}
        if system.proxies():
            spent = system.cpu_seconds() - before
            values["cpu each"] = spent / found["total"] * 1e6
        return values


class IdleConnections(Scenario):
    """Memory of the proxies with many open connections that have each carried
    one message, less that before, by connection. The proxies are fresh."""

    name = "idle-connections"
    title = "open idle connections"
    systems = PROXIED
    metrics = (Metric("memory each", "KB"),
               Metric("connections", "", True, plotted=False))

    def rounds(self, plan):
        return min(plan.rounds, plan.memory_rounds)

    def count(self, bench):
        # A proxy needs two descriptors for a connection.
        possible = (bench.descriptors - 600) // 2
        return min(bench.plan.idle_connections, possible)

    def measure(self, bench, system):
        system.restart()
        # What is allocated once for all connections is not theirs.
        bench.tools.measure(system, "pingpong", system.server.ip,
                            seconds=0.2, connections=64)
        time.sleep(bench.plan.settle)
        before = system.pss_kb()
        count = self.count(bench)
        holder = Process(
            [bench.tools.load, "hold", "--to",
             f"{system.server.ip}:{ECHO_PORT}", "--connections", count],
            bench.workdir / "hold.log", netns=system.client.netns,
            cgroup=system.cgroup(system.client), talks=True)
        try:
            if not holder.popen.stdout.readline():
                raise Failure(f"{count} connections could not be held: "
                              f"{holder.tail()}")
            time.sleep(bench.plan.settle)
            after = system.pss_kb()
            holder.popen.stdin.close()
            alive = json.loads(holder.popen.stdout.readline() or "{}")
        finally:
            holder.popen.stdin = None
            holder.stop()
        if alive.get("alive") != count:
            raise Failure(f"of {count} idle connections only "
                          f"{alive.get('alive')} were still open")
        return {"memory each": (after - before) / count,
                "connections": count}
