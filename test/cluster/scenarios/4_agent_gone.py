# SPDX-License-Identifier: Apache-2.0
"""Agents deleted, killed, rolled out, taken away: closed until they are back."""
import json
import time

from harness.process import await_that
from mesh import SYSTEM, account, deployment, peer_authentication

ONLY_WITH_ALL = True
URL = "http://httpbin.gone:8000/ip"
CONF = "/etc/cni/net.d/10-pods.conflist"


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


def first_words(s, mesh):
    """What pods say before they do anything else is captured, too."""
    mesh.cluster.apply(account("early", "gone"), deployment(
        "early", "gone", node="node-a", command=[
            "/bin/sh", "-c", "/usr/bin/curl -s -o /dev/null -m 10 -w "
            f"'%{{http_code}} %{{exitcode}}' {URL} > /tmp/first; "
            "sleep 100000"]))
    mesh.cluster.kubectl("-n", "gone", "scale", "deployment/early",
                         "--replicas=5")
    mesh.cluster.await_pods("gone", "app=early", 5)
    names = [pod["metadata"]["name"] for pod in mesh.cluster.get(
        "pods", "-n", "gone", "-l", "app=early")]

    def said(name):
        return mesh.cluster.kubectl("exec", "-n", "gone", name, "--",
                                    "/bin/cat", "/tmp/first", check=False
                                    ).stdout.strip()
    for name in names:
        await_that(f"{name} has said something", lambda one=name: said(one),
                   40, 0.5)
    s.check("first words of new pods, to STRICT",
            {said(name) for name in names}, {"200 0"})


def entry(node):
    """The last plugin of the node's network configuration."""
    return json.loads(node.run("cat", CONF).stdout)["plugins"][-1]["type"]


def another_cni_rewrites(s, mesh):
    node = mesh.cluster.a
    s.check("the last plugin of node-a", entry(node), "nodeward-cni")
    # As it was before the agent came.
    conf = json.loads(node.run("cat", CONF).stdout)
    del conf["plugins"][-1]
    node.run("sh", "-c", f"cat > {CONF}.tmp && mv -f {CONF}.tmp {CONF}",
             stdin=json.dumps(conf))
    await_that("the entry is back", lambda: entry(node) == "nodeward-cni", 20,
               0.2)
    s.that("the entry is back after another one wrote the file", True)


def start_without_agent(s, mesh):
    """Pods of the mesh wait, others do not; call done() when agents are
    back."""
    cluster = mesh.cluster
    for namespace in ("gone", "legacy"):
        mesh.sleep(namespace, "late", node="node-a")
    cluster.await_pods("legacy", "app=late")
    s.that("a pod outside of the mesh starts", True)

    def complaint():
        events = cluster.get("events", "-n", "gone", "--field-selector",
                             f"involvedObject.name={mesh.pod('gone', 'late')}")
        return [event["message"] for event in events
                if "waits until the agent" in event.get("message", "")]
    await_that("the pod's events say why it waits", complaint, 60, 0.5)
    s.that("the pod's events say why it waits", True)
    pod = cluster.get("pods", "-n", "gone", "-l", "app=late")[0]
    s.check("a pod of the mesh waits", (
        pod["status"]["phase"], [one["state"].get("waiting", {}).get("reason")
                                 for one in pod["status"]["containerStatuses"]
                                 ]), ("Pending", ["ContainerCreating"]))

    def done():
        cluster.await_pods("gone", "app=late")
        s.check("once there is an agent it runs, captured", mesh.states().get(
            f"gone/{mesh.pod('gone', 'late')}"), "enrolled")
        s.check("and is served", mesh.outcome("gone", "late", URL), "200")
    return done


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
    first_words(s, mesh)
    another_cni_rewrites(s, mesh)
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
    started = start_without_agent(s, mesh)
    kubectl("-n", SYSTEM, "patch", "daemonset", "nodeward-agent", "--type",
            "json", "-p", '[{"op":"remove","path":"/spec/template/spec/'
            'nodeSelector/nowhere"}]')
    back("their return")
    started()
