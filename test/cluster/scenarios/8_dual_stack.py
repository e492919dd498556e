# SPDX-License-Identifier: Apache-2.0
"""Pods with two addresses, Services of either family and of both, NodePorts:
captured, refused and told over IPv6 as over IPv4."""
import json
import re
import socket

from dual import NODE_PORT, addresses, all_ways, prepare, settled, ways
from harness.capture import Capture
from harness.entering import entered
from harness.packets import Sniffer, ipv6, syn
from harness.process import await_that, run
from mesh import peer_authentication

ONLY_WITH_ALL = True


def scenario(s, mesh):
    prepare(mesh)
    permissive(s, mesh)
    on_the_wire(s, mesh)
    strict(s, mesh)
    policy(s, mesh)
    unknown(s, mesh)
    required(s, mesh)


def permissive(s, mesh):
    for namespace, app in (("dual", "sleep"), ("dual", "near"),
                           ("legacy", "sleep")):
        s.check(f"PERMISSIVE, {namespace}/{app}", all_ways(
            mesh, namespace, app, "200"), "200")
    for what, (url, *words) in ways(mesh).items():
        s.that(f"who calls is told: {what}", settled(
            lambda to=url, by=words: "spiffe://cluster.local/ns/dual/sa/sleep"
            in mesh.body("dual", "sleep", to + "/headers", *by), True))


def strict(s, mesh):
    mesh.cluster.apply(peer_authentication("dual", "STRICT"))
    for namespace, app, expected in (
            ("dual", "sleep", "200"), ("dual", "near", "200"),
            ("legacy", "sleep", "refused")):
        s.check(f"STRICT, {namespace}/{app}", all_ways(
            mesh, namespace, app, expected), expected)
    other_ways(s, mesh)
    # It listens on 0.0.0.0.
    four, six = addresses(mesh, "dual", "old")
    s.check("a server of IPv4 alone", [mesh.outcome(
        "dual", "sleep", f"http://{ip}/ip") for ip in (four, six)],
        ["200", "refused"])


def other_ways(s, mesh):
    """Into it from outside of the mesh, over IPv6."""
    six = addresses(mesh, "dual", "httpbin")[1]
    port = f"http://[{mesh.cluster.b.address6}]:{NODE_PORT}"
    neighbour = f"http://[{link_local(mesh, 'httpbin')}%cni0]"
    for mode, expected in (("PERMISSIVE", "200"), ("STRICT", "refused")):
        mesh.cluster.apply(peer_authentication("dual", mode))
        for what, app, url in (
                ("a hostNetwork pod of its node", "host", f"http://{six}"),
                ("the same, to its link-local address", "host", neighbour),
                ("a NodePort's client", "sleep", port)):
            s.check(f"{mode}, {what}, IPv6", settled(
                lambda one=app, to=url: mesh.outcome(
                    "legacy", one, to + "/ip"), expected), expected)


def link_local(mesh, app):
    """The address that its server has besides, which no API tells."""
    text = mesh.cluster.kubectl("exec", "-n", "dual", f"deploy/{app}", "--",
                                "/bin/busybox", "cat", "/proc/net/if_inet6"
                                ).stdout
    for line in text.splitlines():
        if line.startswith("fe80") and line.split()[-1] == "eth0":
            return ":".join(re.findall("....", line[:32]))
    raise RuntimeError(f"{app} has no link-local address:\n{text}")


def on_the_wire(s, mesh):
    """Between the nodes, IPv6 alone."""
    cluster = mesh.cluster
    six = addresses(mesh, "dual", "httpbin")[1]
    capture = Capture(cluster.a.netns, "eth0", f"{cluster.folder}/wire.pcap",
                      "ip6 and tcp")
    try:
        for namespace in ("dual", "legacy"):
            s.check(f"a request of {namespace}", mesh.outcome(
                namespace, "sleep",
                f"http://{six}/anything/said-by-{namespace}"), "200")
        await_that("plaintext is seen",
                   lambda: capture.holds("said-by-legacy"))
        s.check("that of the mesh is seen", capture.holds("said-by-dual"),
                False)
    finally:
        capture.stop()

    def packets(expression):
        return packets_in(capture, expression)
    client = addresses(mesh, "dual", "sleep")[1].strip("[]")
    s.that("its tunnel", packets(f"src host {client} and dst port 15008"))
    s.check("else to the pod", packets(
        f"src host {client} and dst host {six.strip('[]')} "
        "and not dst port 15008"), 0)


def packets_in(capture, expression):
    return len(run("tcpdump", "-n", "-r", capture.path, expression
                   ).stdout.splitlines())


def policy(s, mesh):
    """By the source's address, of one family."""
    six = addresses(mesh, "dual", "sleep")[1].strip("[]")
    found = ways(mesh)

    def seen():
        return {four_or_six: mesh.outcome(
            "dual", "sleep", found[f"the pod, {four_or_six}"][0] + "/ip")
            for four_or_six in ("IPv4", "IPv6")}
    mesh.cluster.apply({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "by-address", "namespace": "dual"},
        "spec": {"action": "DENY", "rules": [
            {"from": [{"source": {"ipBlocks": [f"{six}/128"]}}]}]}})
    expected = {"IPv4": "200", "IPv6": "403"}
    s.check("an ipBlocks rule of IPv6", settled(seen, expected), expected)
    mesh.cluster.kubectl("delete", "-n", "dual", "authorizationpolicy", "--all")
    expected = {"IPv4": "200", "IPv6": "200"}
    s.check("without it", settled(seen, expected), expected)


class Wire:
    """Where a node's packets arrive."""

    def __init__(self, node):
        self._node = node

    def open_socket(self, *kind):
        with entered(self._node.netns):
            return socket.socket(*kind)


def unknown(s, mesh):
    """meshCIDRs: nobody has this address."""
    cluster = mesh.cluster
    nobody = cluster.b.pod_cidr6.replace("::/64", "::dead")
    capture = Capture(cluster.b.netns, "eth0", f"{cluster.folder}/held.pcap",
                      f"ip6 host {nobody} and tcp")
    try:
        s.check("an unknown destination", mesh.outcome(
            "dual", "sleep", f"http://[{nobody}]/"), "refused")
        mesh.curl("legacy", "sleep", f"http://[{nobody}]/", "-m", "1")
        await_that("from outside of the mesh it is seen",
                   lambda: packets_in(capture, "tcp"))
    finally:
        capture.stop()
    client = addresses(mesh, "dual", "sleep")[1].strip("[]")
    s.check("sent to it", packets_in(capture, f"src host {client}"), 0)


def required(s, mesh):
    """No plaintext over IPv6, by the kernel, from a pod that must not."""
    cluster = mesh.cluster
    mesh.namespace("careful", **{"nodeward.io/mesh": "enabled",
                                 "nodeward.io/outbound": "require-mtls"})
    mesh.httpbin("careful", "client", node="node-b")
    cluster.await_pods("careful", "app=client")
    mesh.await_state("careful", "client", "enrolled")
    target = addresses(mesh, "dual", "sleep")[1].strip("[]")

    def send(namespace, app, port, to_port):
        """A SYN by hand."""
        source = addresses(mesh, namespace, app)[1].strip("[]")
        packet = ipv6(source, target, syn(source, target, port, to_port))
        cluster.kubectl(
            "exec", "-n", namespace, f"deploy/{app}", "--", "/usr/bin/python3",
            "-c", "import socket\n"
            "raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 255)\n"
            f"raw.sendto(bytes.fromhex('{packet.hex()}'), ('{target}', 0))")
    url = "http://six.dual:8000/ip"
    s.check("mutual TLS of a pod that speaks IPv6 alone", settled(
        lambda: fetch(mesh, url), "served"), "served")
    s.check("as its edge tells", edge(mesh, "node-b", "client"), [(
        "spiffe://cluster.local/ns/careful/sa/client",
        "spiffe://cluster.local/ns/dual/sa/httpbin", "")])
    beside_it(s, mesh)
    with Sniffer(Wire(cluster.a)) as sniffer:
        send("careful", "client", 42000, 80)
        # Behind it on the same way.
        send("careful", "client", 42001, 15008)
        s.that("a SYN to the tunnels' port", sniffer.awaits(42001))
        s.check("a SYN to the pod", 42000 in sniffer.ports, False)
        cluster.kubectl("label", "namespace", "careful",
                        "nodeward.io/outbound-")

        def passes():
            send("careful", "client", 42002, 80)
            return 42002 in sniffer.ports
        s.that("without the label", await_that("it passes", passes, 30, 0.5))


def fetch(mesh, url):
    """Whether careful/client, which has no curl, is "served"."""
    return mesh.cluster.kubectl(
        "exec", "-n", "careful", "deploy/client", "--", "/usr/bin/python3",
        "-c", "import urllib.request\ntry:\n urllib.request.urlopen("
        f"'{url}', timeout=5)\n print('served')\nexcept OSError:\n "
        "print('refused')").stdout.strip()


def edge(mesh, node, source):
    """(client, server, why it is not secured) of its edges."""
    return [(one["client_id"], one["server_id"], one["no_tls_reason"])
            for one in json.loads(mesh.ask(node, "edges", "-o", "json").stdout)
            if one["src"] == source]


def beside_it(s, mesh):
    """To a pod of its own node, by the address that nobody lists."""
    mesh.cluster.apply(peer_authentication("dual", "PERMISSIVE"))
    url = f"http://[{link_local(mesh, 'httpbin')}%eth0]/ip"
    s.check("from a pod that may", settled(lambda: mesh.outcome(
        "dual", "near", url), "200"), "200")
    s.check("from one that may not", fetch(mesh, url), "refused")
    mesh.cluster.apply(peer_authentication("dual", "STRICT"))
