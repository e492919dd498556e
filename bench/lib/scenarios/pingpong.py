# SPDX-License-Identifier: Apache-2.0
from lib.scenarios.base import LATENCIES, Metric, Scenario, added


class PingPong(Scenario):
    """64 bytes there and back, one message in flight on each connection."""

    def __init__(self, connections):
        self.connections = connections
        self.name = f"pingpong-{connections}"
        self.title = f"64 B ping-pong, {connections} connection" + \
            ("" if connections == 1 else "s")
        self.metrics = (Metric("rate", "1/s", True, connections > 1),
                        *(Metric(name, "µs", False, name != "p99.9")
                          for name in LATENCIES))
        if connections == 1:
            self.metrics += (Metric("added p50", "µs"),
                             Metric("cpu each", "µs"))
        else:
            self.metrics += (Metric("cpu each", "µs"),)

    def measure(self, bench, system):
        before = system.cpu_seconds()
        warmup = 0.3
        found = bench.tools.measure(
            system, "pingpong", system.server.ip, seconds=bench.plan.seconds,
            warmup=warmup, connections=self.connections)
        values = {name: found[name] for name in ("rate", *LATENCIES)}
        if system.proxies():
            spent = system.cpu_seconds() - before
            messages = found["rate"] * (bench.plan.seconds + warmup)
            values["cpu each"] = spent / messages * 1e6
        return values

    def derived(self, values):
        return added(values, "p50", "added p50") if self.connections == 1 \
            else {}
