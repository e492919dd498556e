# SPDX-License-Identifier: Apache-2.0
from lib.scenarios.base import Metric, Scenario


class Bulk(Scenario):
    """iperf3 with N connections to one destination, first towards the server
    and then from it."""

    metrics = (Metric("up", "Gb/s", True), Metric("down", "Gb/s", True),
               Metric("cpu up", "s/GB"), Metric("cpu down", "s/GB"))

    def __init__(self, streams):
        self.streams = streams
        self.name = f"bulk-{streams}"
        self.title = ("bulk, 1 connection" if streams == 1 else
                      f"bulk, {streams} connections to one destination")

    def measure(self, bench, system):
        values = {}
        for direction in ("up", "down"):
            before = system.cpu_seconds()
            rate, count = bench.tools.iperf(
                system, system.server.ip, bench.plan.seconds, self.streams,
                down=direction == "down")
            values[direction] = rate / 1e9
            if system.proxies():
                spent = system.cpu_seconds() - before
                values[f"cpu {direction}"] = spent / (count / 1e9)
        return values
