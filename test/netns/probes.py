#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Under STRICT the kubelet's probes pass, and nothing else does: by socket,
not by address."""
import socket
import struct

from harness import await_that, main, policy

RESET = "ConnectionResetError"
PORTS = {"http": 80, "probe": 8081, "grpc": 8082, "other": 9090}
PROBES = {
    "liveness": {"httpGet": {"path": "/", "port": "http"}},
    "readiness": {"tcpSocket": {"port": 8081}},
    "startup": {"grpc": {"port": 8082}},
}


def run(s):
    lab = s.trio(start=False)
    pod = lab.server
    pod.ports, pod.probes = PORTS, PROBES
    lab.publish(pod)
    pod.serve_web(*PORTS.values())
    node = pod.node
    kubelet = node.start_kubelet()
    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    lab.start_agents()
    lab.await_enrolled(pod, lab.client)

    for name, address in (("v4", pod.ip4), ("v6", f"[{pod.ip6}]")):
        for port in (80, 8081, 8082):
            s.check(f"kubelet, declared port {port}, {name}",
                    node.probe(f"http://{address}:{port}/"), 200)
        s.check(f"kubelet, tcpSocket, {name}",
                node.probe(f"tcp://{address}:8081"), "open")
        s.check(f"kubelet, a port that is no probe port, {name}",
                node.probe(f"http://{address}:9090/"), RESET)
        other = node.run("curl", "-sg", "--max-time", "10",
                         f"http://{address}:80/", check=False)
        s.check(f"another process of the node, same address, {name}",
                other.returncode, 56)
    s.check("legacy on a probe port",
            str(lab.legacy.curl(f"http://{pod.ip4}:8081/")), "000, exit 56")

    node.masquerade_node_port(30080, pod.ip4, 80)
    s.check("masqueraded to the node's address", str(lab.legacy.curl(
        f"http://{node.wire4}:30080/")), "000, exit 56")

    # Nobody follows in the tuple of a probe.
    s.check("kubelet from port 45000",
            node.probe(f"http://{pod.ip4}:80/", 45000), 200)
    s.check("another process from port 45000 at once",
            from_port(node, 45000, pod.ip4), "reset")
    s.check("kubelet from port 45000 again",
            node.probe(f"http://{pod.ip4}:80/", 45000), 200)

    # SYN cookies look the listener up twice.
    with Sysctl(pod, "net/ipv4/tcp_syncookies", "2"):
        s.check("kubelet, tcp_syncookies=2",
                node.probe(f"http://{pod.ip4}:80/"), 200)
        s.check("legacy, tcp_syncookies=2",
                str(lab.legacy.curl(f"http://{pod.ip4}/")), "000, exit 56")

    # A kubelet that starts anew is found again.
    kubelet.kill()
    node.start_kubelet()
    s.check("a new kubelet", await_that(
        "the new kubelet's probe passes", lambda:
        node.probe(f"http://{pod.ip4}:80/") == 200, 30), True)

    # Exemptions are counted.
    def exempted():
        return sum(value for name, value in node.agent.metrics().items()
                   if name.startswith("nodeward_probe_exempted_total"))
    s.that("exempted probes are counted",
           await_that("the count", lambda: exempted() >= 12))


def from_port(node, port, address):
    """What a process of the node that is no kubelet gets."""
    with node.open_socket() as one:
        one.settimeout(10)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                       struct.pack("ii", 1, 0))
        one.bind(("", port))
        one.connect((address, 80))
        try:
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return one.recv(12)
        except ConnectionResetError:
            return "reset"


class Sysctl:
    """Sets a sysctl of the pod for a moment."""

    def __init__(self, pod, name, value):
        self.pod, self.path, self.value = pod, f"/proc/sys/{name}", value

    def _write(self, value):
        self.pod.run("sh", "-c", f"echo {value} > {self.path}")

    def __enter__(self):
        self.old = self.pod.run("cat", self.path).stdout.strip()
        self._write(self.value)

    def __exit__(self, *_):
        self._write(self.old)


if __name__ == "__main__":
    main(run)
