# SPDX-License-Identifier: Apache-2.0
"""Agents deleted, killed, rolled out, taken away: closed until they are back."""
import time

from harness.process import await_that
from mesh import SYSTEM, peer_authentication

ONLY_WITH_ALL = True
URL = "http://httpbin.gone:8000/ip"


def prepare(mesh):
    mesh.namespace("gone", **{"nodeward.io/mesh": "enabled"})
    mesh.namespace("legacy")
    mesh.httpbin("gone", node="node-b")
    mesh.sleep("gone", node="node-a")
    mesh.sleep("legacy", node="node-a")
    mesh.cluster.apply(peer_authentication("gone", "STRICT"))
    for namespace, app in (("gone", "httpbin"), ("gone", "sleep"),
                           ("legacy", "sleep")):
        mesh.cluster.await_pods(namespace, f"app={app}")
    for app in ("httpbin", "sleep"):
        mesh.await_state("gone", app, "enrolled")


def watch(mesh, what, seconds):
    """Outcomes of plaintext while `what` happens and after."""
    what()
    end, seen = time.monotonic() + seconds, set()
    while time.monotonic() < end:
        seen.add(mesh.outcome("legacy", "sleep", URL))
    return seen


def scenario(s, mesh):
    kubectl = mesh.cluster.kubectl
    mesh.ready()
    prepare(mesh)

    def serves():
        return mesh.outcome("gone", "sleep", URL) == "200"

    def back(what):
        await_that(f"served after: {what}", serves, 60, 0.5)
        s.that(f"served after: {what}", True)
    back("the beginning")
    await_that("plaintext is refused", lambda: mesh.outcome(
        "legacy", "sleep", URL) == "refused", 30, 0.5)
    s.check("plaintext while an agent's pod is deleted at once", watch(
        mesh, lambda: kubectl(
            "delete", "pod", "-n", SYSTEM, mesh.agent("node-b"), "--force",
            "--grace-period=0"), 10), {"refused"})
    back("deletion")

    pid = mesh.cluster.b.run("pgrep", "-x", "nodeward").stdout.split()
    s.check("plaintext while it is killed", watch(
        mesh, lambda: mesh.cluster.b.run("kill", "-9", *pid), 10),
        {"refused"})
    back("kill -9")
    s.check("plaintext during a rollout", watch(
        mesh, lambda: kubectl("-n", SYSTEM, "rollout", "restart",
                              "daemonset/nodeward-agent"), 15), {"refused"})
    kubectl("-n", SYSTEM, "rollout", "status", "daemonset/nodeward-agent",
            "--timeout=90s")
    back("a rollout")

    nowhere = '{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":"%s"}}}}}'
    kubectl("-n", SYSTEM, "patch", "daemonset", "nodeward-agent", "-p",
            nowhere % "at-all")
    await_that("no agent is left", lambda: not mesh.agent("node-a")
               and not mesh.agent("node-b"), 90, 0.5)
    s.check("without any agent", (mesh.outcome("gone", "sleep", URL),
                                  mesh.outcome("legacy", "sleep", URL)),
            ("refused", "refused"))
    kubectl("-n", SYSTEM, "patch", "daemonset", "nodeward-agent", "--type",
            "json", "-p", '[{"op":"remove","path":"/spec/template/spec/'
            'nodeSelector/nowhere"}]')
    back("their return")
