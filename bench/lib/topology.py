# SPDX-License-Identifier: Apache-2.0
"""Nodes and pods out of network namespaces.

    node a: bridge 10.201.0.1/16 ── wire 10.200.0.0/30 ── node b: 10.202.0.1/16
      │ veth                                                 │ veth
    pod eth0 10.201.x.y                                    pod eth0 10.202.x.y

The names carry the process id of the run, so that two runs do not meet and a
later run finds what a killed one left.
"""
import os
import pathlib
import re

from lib.process import run

PREFIX = "nwb"
# Room for connections per second on every system alike; 15000-15100 are the
# ports of sidecars and agents.
POD_SYSCTLS = ("net.ipv4.tcp_tw_reuse=1",
               "net.ipv4.ip_local_port_range=10000 65000",
               "net.ipv4.ip_local_reserved_ports=15000-15100")


class Pod:
    """A network namespace with one veth on its node's bridge."""

    def __init__(self, node, name, netns, ip, veth):
        self.node = node
        self.name = name
        self.netns = netns
        self.ip = ip
        self.veth = veth  # the node's side

    def remove(self):
        run("ip", "netns", "del", self.netns, check=False)
        self.node.network.namespaces.discard(self.netns)


class Node:
    """A network namespace with a bridge, and the pods on it."""

    def __init__(self, network, name, index):
        self.network = network
        self.name = name
        self.netns = f"{network.prefix}-{name}"
        self.octet = 200 + index
        self._pods = 0
        network.add_namespace(self.netns)
        run("ip", "-n", self.netns, "-batch", "-", stdin=f"""
            link set lo up
            link add br0 type bridge
            addr add 10.{self.octet}.0.1/16 dev br0
            link set br0 up
            """)
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", netns=self.netns)

    def add_pod(self, name):
        return self.add_pods([name])[0]

    def add_pods(self, names):
        pods = []
        for name in names:
            self._pods += 1
            host = self._pods + 1
            pods.append(Pod(self, name, f"{self.network.prefix}-{name}",
                            f"10.{self.octet}.{host // 250}.{host % 250 + 2}",
                            f"v{host}"))
        for pod in pods:
            self.network.add_namespace(pod.netns)
        run("ip", "-batch", "-", stdin="".join(
            f"link add eth0 netns {pod.netns} type veth "
            f"peer name {pod.veth} netns {self.netns}\n" for pod in pods))
        run("ip", "-n", self.netns, "-batch", "-", stdin="".join(
            f"link set {pod.veth} master br0 up\n" for pod in pods))
        for pod in pods:
            run("ip", "-n", pod.netns, "-batch", "-", stdin=f"""
                link set lo up
                addr add {pod.ip}/16 dev eth0
                link set eth0 up
                route add default via 10.{self.octet}.0.1
                """)
            run("sysctl", "-qw", *POD_SYSCTLS, netns=pod.netns)
        return pods


class Network:
    """All nodes of one run; removed as a whole."""

    def __init__(self):
        self.prefix = f"{PREFIX}{os.getpid()}"
        self.namespaces = set()
        self.nodes = {}

    def node(self, name):
        """The node of that name (a, b, c …), made when first asked for."""
        if name not in self.nodes:
            index = ord(name) - ord("a") + 1
            self.nodes[name] = Node(self, name, index)
            if name in "ab" and {"a", "b"} <= set(self.nodes):
                self._wire(self.nodes["a"], self.nodes["b"])
        return self.nodes[name]

    def _wire(self, a, b):
        run("ip", "link", "add", "wire", "netns", a.netns, "type", "veth",
            "peer", "name", "wire", "netns", b.netns)
        for this, other, host in ((a, b, 1), (b, a, 2)):
            run("ip", "-n", this.netns, "-batch", "-", stdin=f"""
                addr add 10.200.0.{host}/30 dev wire
                link set wire up
                route add 10.{other.octet}.0.0/16 via 10.200.0.{3 - host}
                """)

    def add_namespace(self, name):
        self.namespaces.add(name)
        run("ip", "netns", "add", name)

    def remove(self):
        for name in sorted(self.namespaces):
            run("ip", "netns", "del", name, check=False)
        self.namespaces.clear()
        self.nodes.clear()


def sweep():
    """Removes the namespaces that runs which are no more have left."""
    folder = pathlib.Path("/run/netns")
    for entry in folder.iterdir() if folder.is_dir() else ():
        found = re.match(rf"{PREFIX}(\d+)-", entry.name)
        if found and not pathlib.Path("/proc", found.group(1)).exists():
            run("ip", "netns", "del", entry.name, check=False)
