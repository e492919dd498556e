# SPDX-License-Identifier: Apache-2.0
"""Uninstalled by helm, then by kubectl, it leaves nothing on the nodes."""
import os

from harness.process import await_that
from mesh import SYSTEM, peer_authentication

# Pins, hooks, rules, open sockets and files of nodeward on a node.
LOOK = """
find /sys/fs/bpf -mindepth 1 -path '*nodeward*'
find /run/nodeward -type s
find /etc/cni/net.d /opt/cni/bin -name '*nodeward*'
grep -l nodeward /etc/cni/net.d/*
for netns in /run/netns/*; do
  for family in -4 -6; do
    nsenter --net=$netns ip $family rule |
      grep -v 'lookup \\(local\\|main\\|default\\)'
  done
  nsenter --net=$netns cat /proc/sys/net/ipv4/tcp_fwmark_accept | grep -v 0
  nsenter --net=$netns ss -tlnH 'sport = :15008 or sport = :15001'
done
ip link show | grep -i nodeward
true
"""


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    mesh.namespace("leaving", **{"nodeward.io/mesh": "enabled"})
    mesh.namespace("legacy")
    mesh.httpbin("leaving", node="node-b")
    mesh.sleep("leaving", node="node-a")
    mesh.sleep("legacy", node="node-a")
    for namespace, app in (("leaving", "httpbin"), ("leaving", "sleep"),
                           ("legacy", "sleep")):
        cluster.await_pods(namespace, f"app={app}")
    cluster.apply(peer_authentication("leaving", "STRICT"))
    url = "http://httpbin.leaving:8000/ip"

    def outcomes():
        return [mesh.outcome(one, "sleep", url) for one in ("leaving",
                                                            "legacy")]

    def check(what, expected):
        try:
            await_that(what, lambda: outcomes() == expected, 40, 0.5)
        except TimeoutError:
            pass
        s.check(what, outcomes(), expected)

    def left():
        return {name: node.run("sh", "-c", LOOK, check=False).stdout
                for name, node in cluster.nodes.items()}

    mesh.await_state("leaving", "httpbin", "enrolled")
    check("meshed and STRICT", ["200", "refused"])
    s.that("before, there is something to see",
           all("nodeward" in text for text in left().values()))
    mesh.uninstall()
    check("uninstalled by helm, all in plaintext", ["200", "200"])
    s.check("left on the nodes", left(), {"node-a": "", "node-b": ""})
    s.that("the issuer stays for the next time", cluster.get(
        "secret", "nodeward-ca", "-n", SYSTEM))
    made = ["leases,configmaps", "-A", "-l",
            "app.kubernetes.io/managed-by=nodeward-ca"]
    s.check("what the CAs have made stays", [
        f"{one['kind']} {one['metadata']['namespace']}/"
        f"{one['metadata']['name']}" for one in cluster.get(*made)
        if one["metadata"]["namespace"] in ("leaving", SYSTEM)],
        [f"Lease {SYSTEM}/nodeward-ca",
         "ConfigMap leaving/nodeward-ca-root"])
    cluster.kubectl("delete", *made)
    s.check("until it is deleted", cluster.get(*made), [])

    plain = plain_manifest(mesh)
    cluster.kubectl("apply", "-f", plain)
    for name in ("agent", "ca"):
        cluster.await_pods(SYSTEM, f"app.kubernetes.io/name=nodeward-{name}",
                           2)
    mesh.await_state("leaving", "httpbin", "enrolled")
    check("installed by kubectl, meshed and STRICT", ["200", "refused"])
    cluster.kubectl("delete", "-f", plain, "--timeout=60s")
    check("deleted by kubectl, all in plaintext", ["200", "200"])
    s.check("left on the nodes", left(), {"node-a": "", "node-b": ""})


def plain_manifest(mesh):
    """daemonset/nodeward.yaml with the test's own image."""
    with open(os.path.join(mesh.chart, "../nodeward.yaml"),
              encoding="utf-8") as file:
        text = file.read()
    path = f"{mesh.cluster.folder}/nodeward.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("image: nodeward:0.1.0",
                                "image: localhost/nodeward:1").replace(
                   "imagePullPolicy: IfNotPresent", "imagePullPolicy: Never"))
    return path
