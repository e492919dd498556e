# SPDX-License-Identifier: Apache-2.0
import json
import math
import time

from lib.process import Failure, Process
from lib.scenarios.base import PROXIED, Metric, Scenario
from lib.systems.agent import pod_object
from lib.systems.sidecar import Sidecar, release_pod
from lib.tools import ECHO_PORT


class Watch:
    """`nodeward-load watch` in a pod: tries until a new connection is answered
    (or refused), and knows when that was."""

    def __init__(self, bench, pod, address, until, cgroup=None, seconds=30):
        self._process = Process(
            [bench.tools.load, "watch", "--to", f"{address}:{ECHO_PORT}",
             "--until", until, "--seconds", seconds],
            bench.workdir / "watch.log", netns=pod.netns, cgroup=cgroup,
            talks=True)
        first = self._line()
        if first["first"] == until:
            raise Failure(f"the first try was a{'n' * (until == 'answer')} "
                          f"{until} before anything was changed")

    def _line(self):
        line = self._process.popen.stdout.readline()
        if not line:
            self._process.popen.wait()
            raise Failure(f"watch: {self._process.tail()}")
        return json.loads(line)

    def seconds_since(self, moment_ns):
        """Waits for the outcome; the seconds from `moment_ns` to it."""
        try:
            return (self._line()["known_ns"] - moment_ns) / 1e9
        finally:
            self.stop()

    def stop(self):
        self._process.stop()


def percentile(values, share):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Enrolment(Scenario):
    """A running pod becomes one of the mesh: from the label (for a sidecar:
    from the start of the proxy) to the first byte by mutual TLS, answered by a
    server that refuses plaintext. The sidecar's figure leaves out the restart
    of the pod that it needs."""

    name = "enrolment"
    title = "enrolment of a running pod to its first mTLS byte"
    systems = tuple(name for name in PROXIED if name != "nodeward-same-node")
    metrics = (Metric("p50", "ms"), Metric("p99", "ms"))

    def rounds(self, plan):
        del plan
        return 1

    def measure(self, bench, system):
        node = bench.network.node("a")
        pod = node.add_pod(f"{system.name}-late")
        enrol = _sidecar if isinstance(system, Sidecar) else _nodeward
        times = enrol(bench, system, pod)
        pod.remove()
        return {"p50": percentile(times, 0.5) * 1000,
                "p99": percentile(times, 0.99) * 1000}


def _sidecar(bench, system, pod):
    times = []
    for _ in range(max(3, bench.plan.enrolments // 5)):
        watch = Watch(bench, pod, system.server.ip, "answer")
        begun = time.monotonic_ns()
        proxy = system.start_sidecar(pod, "client", peer=system.server)
        try:
            times.append(watch.seconds_since(begun))
        finally:
            proxy.stop()
            release_pod(pod)
    return times


def _nodeward(bench, system, pod):
    manifests = bench.mesh().manifests
    file = f"pod-{pod.name}.yaml"
    off = pod_object(pod, labels={"nodeward.io/mesh": "disabled"})
    on = pod_object(pod)
    times = []
    cgroup = system.cgroup(pod)
    manifests.put(file, off)
    for _ in range(bench.plan.enrolments):
        watch = Watch(bench, pod, system.server.ip, "answer", cgroup)
        begun = time.monotonic_ns()
        manifests.put(file, on)
        times.append(watch.seconds_since(begun))
        watch = Watch(bench, pod, system.server.ip, "refusal", cgroup)
        manifests.put(file, off)
        watch.seconds_since(begun)
    manifests.remove(file)
    return times
