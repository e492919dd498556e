# SPDX-License-Identifier: Apache-2.0
import time
import uuid

from lib.process import pss_kb
from lib.scenarios.base import Metric, Scenario
from lib.scenarios.enrolment import Watch, percentile
from lib.systems.agent import (NAMESPACE, OUTSIDE_NAMESPACE, Agent, Manifests,
                               namespace, pod_object, remote_pod, strict)

_BATCH = 500  # pods in one file
_REPLICAS = 5  # of a Deployment


class Workloads(Scenario):
    """One agent that knows N workloads of other nodes: its memory for each,
    and how long the change of one pod takes to have its effect: a label puts
    the pod under a STRICT policy and out of it again, and a plaintext client
    is refused and answered. The node is this scenario's own."""

    systems = ("nodeward",)
    alone = True
    metrics = (Metric("memory each", "KB"), Metric("memory", "MB"),
               Metric("start", "s"), Metric("effect p50", "ms"),
               Metric("effect p99", "ms"))

    def __init__(self, count):
        self.count = count
        self.name = f"workloads-{count}"
        self.title = f"{count:,} workloads known".replace(",", " ")
        self.quick = count <= 10_000

    def rounds(self, plan):
        del plan
        return 1

    def measure(self, bench, system):
        del system
        site = bench.shared(_Site)
        fixed = site.fixed_kb()
        started = site.start_with(self.count)
        time.sleep(bench.plan.settle)
        memory = pss_kb([site.agent.process])
        effects = [effect for _ in range(bench.plan.changes)
                   for effect in site.flip()]
        return {"memory each": (memory - fixed) / self.count,
                "memory": memory / 1024, "start": started,
                "effect p50": percentile(effects, 0.5) * 1000,
                "effect p99": percentile(effects, 0.99) * 1000}

    def finish(self, bench):
        bench.drop_shared(_Site)


class _Site:
    """Node e: a meshed server and a client outside the mesh."""

    def __init__(self, bench):
        self.bench = bench
        node = bench.network.node("e")
        self.server = node.add_pod("known-server")
        self.client = node.add_pod("known-client")
        self.cgroup = bench.cgroups.of("node-e")
        bench.tools.serve(self.server, self.cgroup, kinds=("echo",))
        self.manifests = Manifests(bench.workdir / "manifests-known")
        self.manifests.put("namespaces.yaml", namespace(NAMESPACE, True),
                           namespace(OUTSIDE_NAMESPACE, False))
        self.manifests.put("strict.yaml",
                           strict("closed", NAMESPACE, {"door": "closed"}))
        self._open = pod_object(self.server, labels={"door": "open"})
        self._closed = pod_object(self.server, labels={"door": "closed"})
        self.manifests.put("server.yaml", self._open)
        self.agent = Agent(bench, node, self.manifests)
        self._known = 0
        self._fixed = None

    def close(self):
        self.agent.stop()

    def fixed_kb(self):
        """The agent's memory with no other workload."""
        if self._fixed is None:
            self.start_with(0)
            time.sleep(self.bench.plan.settle)
            self._fixed = pss_kb([self.agent.process])
        return self._fixed

    def start_with(self, count):
        """Starts the agent anew; the seconds until its pod is enrolled."""
        self.agent.stop()
        while self._known < count:
            first = self._known
            self._known = min(count, first + _BATCH)
            self.manifests.put(f"known-{first:06}.yaml", *[
                _remote(number) for number in range(first, self._known)])
        began = time.monotonic()
        self.agent.start()
        self.agent.await_ready(limit=300)
        self.agent.await_enrolled([self.server.name], limit=300)
        return time.monotonic() - began

    def flip(self):
        """Closes the door and opens it again; the seconds each took."""
        effects = []
        for until, pod in (("refusal", self._closed), ("answer", self._open)):
            watch = Watch(self.bench, self.client, self.server.ip, until)
            begun = time.monotonic_ns()
            self.manifests.put("server.yaml", pod)
            effects.append(watch.seconds_since(begun))
        return effects


def _remote(number):
    """A small but ordinary pod of another node: one of the replicas of a
    Deployment with a ServiceAccount of its own."""
    ip = f"10.{100 + number // 60000}.{number // 250 % 240}.{number % 250 + 2}"
    app = f"web-{number // _REPLICAS:06}"
    pod = remote_pod(
        f"{app}-5d9f7c6b8-{number:06x}", f"node-{number // 100:04}", ip,
        labels={"version": "v1", "tier": f"t{number // _REPLICAS % 7}",
                "pod-template-hash": "5d9f7c6b8"},
        ports=((8080, "http-web"), (9090, "tcp-metrics")))
    pod["metadata"]["uid"] = str(uuid.UUID(int=number))
    pod["metadata"]["labels"]["app"] = app
    pod["metadata"]["ownerReferences"] = [
        {"kind": "ReplicaSet", "name": f"{app}-5d9f7c6b8", "controller": True}]
    pod["spec"]["serviceAccountName"] = app
    return pod
