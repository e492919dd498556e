# SPDX-License-Identifier: Apache-2.0
"""NetworkPolicies that do not allow TCP 15008 are found, and named by what they
stop."""
import json

from harness.process import await_that

ONLY_WITH_ALL = True
IN = "NetworkPolicies let tunnels in to pods of the mesh"
OUT = "NetworkPolicies let tunnels out of pods of the mesh"


def policy(name, namespace, app, **spec):
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"podSelector": {"matchExpressions": [
                {"key": "app", "operator": "In", "values": [app]}]}, **spec}}


def told(mesh, node, line):
    """(result, error) of that line of `nodeward check`, and its exit."""
    done = mesh.ask(node, "check", "-o", "json")
    for category in json.loads(done.stdout)["categories"]:
        for check in category["checks"]:
            if check["description"] == line:
                return check["result"], check["error"], done.returncode
    return None


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    mesh.namespace("guarded", **{"nodeward.io/mesh": "enabled"})
    mesh.httpbin("guarded", node="node-b")
    for name in ("sleep", "fresh"):
        mesh.sleep("guarded", name, node="node-a")
    for app in ("httpbin", "sleep", "fresh"):
        cluster.await_pods("guarded", f"app={app}")
        mesh.await_state("guarded", app, "enrolled")
    url = "http://httpbin.guarded:8000/ip"
    await_that("served", lambda: mesh.outcome(
        "guarded", "sleep", url) == "200", 30, 0.5)
    server = cluster.get("pods", "-n", "guarded", "-l", "app=httpbin")[0]
    name, address = server["metadata"]["name"], server["status"]["podIP"]
    s.check("without a policy", told(mesh, "node-b", IN), ("success", "", 0))

    cluster.apply(policy("web-only", "guarded", "httpbin", ingress=[
        {"ports": [{"port": 80}]}]))
    await_that("a policy without 15008 is told", lambda: told(
        mesh, "node-b", IN)[0] == "warning", 30, 0.5)
    s.check("which, and of whom", told(mesh, "node-b", IN), (
        "warning", "Some do not allow ingress at TCP 15008:\n\t* guarded/"
        f"web-only selects guarded/{name}", 0))
    s.check("its pods are on the other node", told(mesh, "node-a", IN),
            ("success", "", 0))

    # This cluster's CNI enforces no NetworkPolicy; netfilter does what another
    # would.
    rule = ("FORWARD", "-d", address, "-p", "tcp", "--dport", "15008",
            "-j", "DROP")
    cluster.b.run("iptables", "-I", *rule)
    try:
        s.check("a client that has no tunnel yet", mesh.curl(
            "guarded", "fresh", url, "-m", "25")[1] in (7, 55, 56), True)
    finally:
        cluster.b.run("iptables", "-D", *rule)
    cause = "; NetworkPolicy guarded/web-only selects the pod and does not " \
        "allow TCP 15008"
    edges = json.loads(mesh.ask("node-a", "edges", "-n", "guarded", "-o",
                                "json").stdout)
    s.check("edges name the cause", [
        each["last_refusal"] for each in edges if each["src"] == "fresh"],
        [f"tunnel to {address}:15008: connect: no answer{cause}"])
    logs = cluster.kubectl("logs", "-n", "nodeward-system",
                           mesh.agent("node-a")).stdout
    s.that("so does the log", cause in logs)
    s.check("when it is let through", mesh.outcome("guarded", "fresh", url),
            "200")

    cluster.apply(policy("mesh", "guarded", "httpbin", ingress=[
        {"ports": [{"port": 15000, "endPort": 15010}]}]))
    await_that("policies add up", lambda: told(
        mesh, "node-b", IN)[0] == "success", 30, 0.5)
    cluster.apply(policy("out", "guarded", "sleep", policyTypes=["Egress"],
                         egress=[{"ports": [{"port": 8000}]}]))
    await_that("egress is told on the client's node", lambda: told(
        mesh, "node-a", OUT)[0] == "warning", 30, 0.5)
    s.that("and whose", "guarded/out selects guarded/sleep-" in told(
        mesh, "node-a", OUT)[1])
    cluster.kubectl("delete", "networkpolicy", "-n", "guarded", "--all")
    await_that("without them all is well", lambda: [told(mesh, node, line)[0]
               for node in cluster.nodes for line in (IN, OUT)]
               == ["success"] * 4, 30, 0.5)
    s.that("without them all is well", True)
