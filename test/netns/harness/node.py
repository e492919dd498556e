# SPDX-License-Identifier: Apache-2.0
"""One node: a namespace with a bridge for its pods and a wire to the others.

Addresses of node number i: on the wire 10.89.0.i and fd89::i, its bridge
10.<200+i>.0.1 and fd46:0:0:i::1. Pods get a host's address and a route to the
bridge, so that even two pods of one node speak through the node, as with most
network plugins; ClusterIPs need no more than DNAT then.
"""
import http.client
import json
import os
import signal
import socket
import urllib.parse

from .entering import entered, write_sysctls
from .process import Process, await_that, run

APPS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "apps")


def cgroup_root():
    """Where the cgroup2 hierarchy is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            left, right = line.split(" - ")
            if right.split()[0] == "cgroup2":
                return left.split()[4]
    raise RuntimeError("no cgroup2 is mounted; "
                       "mount -t cgroup2 none /sys/fs/cgroup")


class Node:
    """Made by Cluster; `agent` is set there."""

    def __init__(self, cluster, name, number):
        self.cluster = cluster
        self.name = name
        self.number = number
        self.netns = f"{cluster.prefix}-{name}"
        self.wire4, self.wire6 = f"10.89.0.{number}", f"fd89::{number}"
        self.bridge4 = f"10.{200 + number}.0.1"
        self.bridge6 = f"fd46:0:0:{number}::1"
        self.cgroup = f"{cluster.cgroup}/{name}"
        self.agent = None
        self._processes = {}
        self._last_pod = 9
        self.folder = f"{cluster.folder}/{name}"
        os.makedirs(self.folder)

        run("ip", "netns", "add", self.netns)
        write_sysctls(self.netns, {
            "net.ipv4.ip_forward": 1,
            "net.ipv6.conf.all.forwarding": 1,
            "net.ipv6.conf.default.accept_dad": 0,
            "net.ipv4.conf.all.send_redirects": 0,
            "net.ipv4.conf.default.send_redirects": 0,
            "net.ipv4.conf.all.rp_filter": 0,
            "net.ipv4.conf.default.rp_filter": 0,
        })
        self.ip(f"""
link set lo up
link add pods0 type bridge mcast_snooping 0
link set pods0 up
addr add {self.bridge4}/16 dev pods0
addr add {self.bridge6}/64 dev pods0 nodad
""")

    def ip(self, batch):
        run("ip", "-n", self.netns, "-batch", "-", stdin=batch)

    def enter(self, *command):
        """The command line that runs `command` on this node. Not `ip netns
        exec`, which mounts a /sys that hides the cgroups."""
        return ["nsenter", f"--net=/run/netns/{self.netns}", *command]

    def run(self, *command, **options):
        return run(*self.enter(*command), **options)

    def connect_wire(self, other):
        self.ip(f"link add eth0 type veth peer name eth0 netns {other.netns}")
        for here, there in ((self, other), (other, self)):
            here.ip(f"""
addr add {here.wire4}/24 dev eth0
addr add {here.wire6}/64 dev eth0 nodad
link set eth0 up
route add 10.{200 + there.number}.0.0/16 via {there.wire4}
route add fd46:0:0:{there.number}::/64 via {there.wire6}
route add 10.96.0.0/16 dev eth0
route add fd96::/64 dev eth0
""")

    def next_addresses(self):
        self._last_pod += 1
        n = self._last_pod
        return (f"10.{200 + self.number}.{n >> 8}.{n & 255}",
                f"fd46:0:0:{self.number}::{n:x}")

    def spawn(self, key, command, cgroup=None):
        """Starts a program on the node; it ends with the cluster."""
        process = Process(self.enter(*command), f"{self.folder}/{key}.log",
                          cgroup=cgroup)
        self._processes[key] = process
        return process

    # --- what a cluster brings ---------------------------------------------

    def start_dns(self):
        """dnsmasq answers on the bridge for the names in cluster.names."""
        self.spawn("dnsmasq", [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
            "--user=root", "--no-resolv", "--no-hosts", "--local=/#/",
            "--bind-interfaces",
            f"--listen-address={self.bridge4}", "--pid-file=",
            "--local-ttl=0", f"--addn-hosts={self.cluster.names}"])

        def answers():
            try:
                with self.open_socket() as client:
                    client.connect((self.bridge4, 53))
                return True
            except OSError:
                return False
        await_that("dnsmasq listens", answers)

    def read_names(self):
        """Names have changed."""
        self._processes["dnsmasq"].signal(signal.SIGHUP)

    def set_cluster_ips(self, rules):
        """DNAT for pods outside the mesh, as kube-proxy would do it;
        `rules`: [(virtual address, port, [(pod address, port)…])…]."""
        lines = ["add table inet services", "delete table inet services",
                 "table inet services {"]
        body = []
        for address, port, endpoints in rules:
            family = "ip6" if ":" in address else "ip"
            quoted = [f"[{a}]:{p}" if ":" in a else f"{a}:{p}"
                      for a, p in endpoints]
            match = f"{family} daddr {address} tcp dport {port}"
            if not quoted:
                body.append(f"    {match} reject with tcp reset")
            for index, endpoint in enumerate(quoted):
                left = len(quoted) - index
                chance = f"numgen random mod {left} 0 " if left > 1 else ""
                body.append(f"    {match} {chance}dnat {family} to {endpoint}")
        refused = [line for line in body if "reject" in line]
        body = [line for line in body if "reject" not in line]
        for chain in ("prerouting", "output"):
            lines += [f"  chain {chain} {{",
                      f"    type nat hook {chain} priority -100",
                      *body, "  }"]
        lines += ["  chain refuse {",
                  "    type filter hook forward priority filter",
                  *refused, "  }", "}"]
        self.run("nft", "-f", "-", stdin="\n".join(lines))

    def remove_cluster_ips(self):
        self.run("nft", "delete", "table", "inet", "services")

    def masquerade_node_port(self, node_port, address, port):
        """A NodePort whose traffic reaches the pod from this node's own
        address (externalTrafficPolicy: Cluster)."""
        self.run("nft", "-f", "-", stdin=f"""
table ip nodeport {{
  chain prerouting {{
    type nat hook prerouting priority -100
    iifname "eth0" tcp dport {node_port} ct mark set 0x4000 dnat to {address}:{port}
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat
    ct mark 0x4000 masquerade
  }}
}}""")

    def start_kubelet(self):
        """A stand-in in a cgroup of its own: listens on 10250, probes."""
        os.makedirs(f"{self.cgroup}/kubelet", exist_ok=True)
        kubelet = self.spawn(
            "kubelet", ["/usr/bin/python3", f"{APPS}/kubelet.py"],
            cgroup=f"{self.cgroup}/kubelet")
        await_that("the kubelet stand-in listens",
                   lambda: "listening" in kubelet.output())
        return kubelet

    def probe(self, url, source_port=0):
        """Has the kubelet probe; its HTTP status, or the reason of failure."""
        query = urllib.parse.urlencode({"url": url, "port": source_port})
        with entered(self.netns):
            connection = http.client.HTTPConnection("127.0.0.1", 10250,
                                                    timeout=20)
            connection.connect()
        try:
            connection.request("GET", f"/probe?{query}")
            return json.load(connection.getresponse())["result"]
        finally:
            connection.close()

    def open_socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
        with entered(self.netns):
            return socket.socket(family, kind, proto)

    def close(self):
        for process in self._processes.values():
            process.kill()
        run("ip", "netns", "del", self.netns, check=False)
        for folder in (f"{self.cgroup}/kubelet", self.cgroup):
            if os.path.isdir(folder):
                await_that(f"{folder} is empty", lambda at=folder:
                           _remove_cgroup(at), 10)


def _remove_cgroup(path):
    try:
        os.rmdir(path)
        return True
    except OSError:
        return False
