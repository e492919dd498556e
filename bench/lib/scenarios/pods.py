# SPDX-License-Identifier: Apache-2.0
import time

from lib.process import cpu_nanoseconds, pss_kb
from lib.scenarios.base import Metric, Scenario, Skip
from lib.systems.agent import (NAMESPACE, Agent, Manifests, namespace,
                               pod_object)

# What an Envoy of a sidecar may take at most before it is not started.
_ENVOY_KB = 60_000


class PodsOnNode(Scenario):
    """N idle pods on one node, each with a ServiceAccount of its own: one
    agent, against N Envoys. The node is this scenario's own."""

    systems = ("envoy", "nodeward")
    alone = True
    metrics = (Metric("memory", "MB"), Metric("cpu at rest", "% of a core"))

    def __init__(self, count):
        self.count = count
        self.name = f"pods-{count}"
        self.title = f"{count} pod{'s' if count > 1 else ''} on a node"

    def rounds(self, plan):
        del plan
        return 1

    def measure(self, bench, system):
        fleet = bench.shared(_FLEETS[system.name])
        fleet.grow(self.count, system)
        time.sleep(bench.plan.settle)
        before = cpu_nanoseconds(fleet.processes())
        began = time.monotonic()
        time.sleep(bench.plan.rest)
        spent = cpu_nanoseconds(fleet.processes()) - before
        share = spent / 1e9 / (time.monotonic() - began)
        return {"memory": pss_kb(fleet.processes()) / 1024,
                "cpu at rest": share * 100}

    def finish(self, bench):
        for kind in _FLEETS.values():
            bench.drop_shared(kind)


class _Fleet:
    """Pods of one system, which only become more."""

    def __init__(self, bench, node):
        self.bench = bench
        self.node = bench.network.node(node)
        self.pods = []

    def add_pods(self, count):
        kind = self.node.name
        new = self.node.add_pods(
            [f"rest-{kind}{number}"
             for number in range(len(self.pods), count)])
        self.pods += new
        return new

    def close(self):
        for process in self.processes():
            process.stop()
        for pod in self.pods:
            pod.remove()


class _Envoys(_Fleet):
    def __init__(self, bench):
        super().__init__(bench, "c")
        self._processes = []

    def grow(self, count, system):
        plan = self.bench.plan
        if count > plan.envoys:
            raise Skip(f"only up to {plan.envoys} Envoys are started in this "
                       "kind of run")
        more = count - len(self.pods)
        if more * _ENVOY_KB > _available_kb() - 2_000_000:
            raise Skip(f"{count} Envoys do not fit into this machine's "
                       "memory")
        for pod in self.add_pods(count):
            self._processes.append(
                system.start_sidecar(pod, "client", peer=system.server))

    def processes(self):
        return self._processes


class _Pods(_Fleet):
    def __init__(self, bench):
        super().__init__(bench, "d")
        self.manifests = Manifests(bench.workdir / "manifests-rest")
        self.manifests.put("namespaces.yaml", namespace(NAMESPACE, True))
        self.agent = Agent(bench, self.node, self.manifests)

    def grow(self, count, system):
        del system
        # A fresh agent for every number: none profits from what another
        # number has left in its heap, and none pays for it.
        self.agent.stop()
        new = self.add_pods(count)
        if new:
            self.manifests.put(f"pods-{count}.yaml",
                               *[pod_object(pod) for pod in new])
        self.agent.start()
        self.agent.await_ready()
        self.agent.await_enrolled([pod.name for pod in self.pods])

    def processes(self):
        return [self.agent.process] if self.agent.process else []

    def close(self):
        self.agent.stop()
        super().close()


_FLEETS = {"envoy": _Envoys, "nodeward": _Pods}


def _available_kb():
    with open("/proc/meminfo", encoding="ascii") as info:
        for line in info:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1])
    return 0
