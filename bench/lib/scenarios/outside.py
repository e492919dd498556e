# SPDX-License-Identifier: Apache-2.0
from lib.scenarios.base import ALL_SYSTEMS, Metric, Scenario, added


class Outside(Scenario):
    """From a pod of the mesh to a pod that is not in it: nothing to encrypt."""

    name = "outside"
    title = "enrolled pod to a destination outside the mesh"
    systems = tuple(name for name in ALL_SYSTEMS
                    if name != "nodeward-same-node")
    metrics = (Metric("up", "Gb/s", True), Metric("down", "Gb/s", True),
               Metric("connect p50", "µs"), Metric("connect p99", "µs"),
               Metric("added connect", "µs"))

    def __init__(self):
        self._server = None

    def measure(self, bench, system):
        if not self._server:
            self._server = bench.network.node("b").add_pod("outside")
            bench.tools.serve(self._server, kinds=("iperf", "echo"))
        values = {}
        for direction in ("up", "down"):
            rate, _ = bench.tools.iperf(
                system, self._server.ip, bench.plan.seconds,
                down=direction == "down")
            values[direction] = rate / 1e9
        # The first ones warm caches and code; they are not counted.
        bench.tools.measure(system, "dial", self._server.ip, count=200)
        found = bench.tools.measure(system, "dial", self._server.ip,
                                    count=bench.plan.dials)
        values["connect p50"] = found["p50"]
        values["connect p99"] = found["p99"]
        return values

    def derived(self, values):
        return added(values, "connect p50", "added connect")
