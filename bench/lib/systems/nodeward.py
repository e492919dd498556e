# SPDX-License-Identifier: Apache-2.0
"""nodeward: one agent a node; between the nodes and within one."""
from lib.systems.agent import (NAMESPACE, OUTSIDE_NAMESPACE, Agent, Manifests,
                               namespace, pod_object, strict)
from lib.systems.base import System
from lib.tools import ECHO_PORT, HTTP_AWARE_PORT, HTTP_PORT, IPERF_PORT

# Names say what the mesh may know of the bytes: only http- is HTTP.
SERVER_PORTS = ((IPERF_PORT, "tcp-iperf"), (ECHO_PORT, "tcp-echo"),
                (HTTP_PORT, "tcp-web"), (HTTP_AWARE_PORT, "http-web"))


class Mesh:
    """The agents of nodes a and b, shared by the two systems below. The whole
    namespace is STRICT: what arrives has come by mutual TLS."""

    def __init__(self, bench):
        self.bench = bench
        self.manifests = Manifests(bench.workdir / "manifests")
        self.manifests.put("namespaces.yaml", namespace(NAMESPACE, True),
                           namespace(OUTSIDE_NAMESPACE, False))
        self.manifests.put("strict.yaml", strict("all", NAMESPACE))
        self.agents = {name: Agent(bench, bench.network.node(name),
                                   self.manifests) for name in ("a", "b")}
        self.running = False
        self._pods = []

    def add(self, pod, **options):
        self.manifests.put(f"pod-{pod.name}.yaml", pod_object(pod, **options))
        self._pods.append(pod)

    def start(self):
        if not self.running:
            for agent in self.agents.values():
                agent.start()
            self.running = True
            for agent in self.agents.values():
                agent.await_ready()
        self.await_enrolled()

    def await_enrolled(self):
        for name, agent in self.agents.items():
            agent.await_enrolled([pod.name for pod in self._pods
                                  if pod.node.name == name])

    def stop(self):
        for agent in self.agents.values():
            agent.stop()
        self.running = False


class Nodeward(System):
    name = "nodeward"

    def start_proxies(self):
        mesh = self.bench.mesh()
        mesh.add(self.client)
        mesh.add(self.server, ports=SERVER_PORTS)
        mesh.start()

    def stop_proxies(self):
        self.bench.mesh().stop()

    def wake(self):
        self.bench.mesh().start()

    def restart(self):
        self.bench.mesh().stop()
        self.wake()
        self.await_echo()

    def proxies(self):
        return [agent.process for agent in self.bench.mesh().agents.values()
                if agent.process]

    def cgroup(self, pod):
        return self.bench.cgroups.of(f"node-{pod.node.name}")


class NodewardSameNode(Nodeward):
    """Both pods on node a; still real mutual TLS."""

    name = "nodeward-same-node"
    server_node = "a"
