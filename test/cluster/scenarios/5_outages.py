# SPDX-License-Identifier: Apache-2.0
"""No CA, a kubelet that restarts, a node that reboots: the data path stays."""
import importlib
import json
import signal

from harness.process import await_that
from mesh import SYSTEM

ONLY_WITH_ALL = True
gone = importlib.import_module("4_agent_gone")


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    gone.prepare(mesh)
    s.check("before", mesh.outcome("gone", "sleep", gone.URL), "200")
    cluster.kubectl("-n", SYSTEM, "scale", "deployment/nodeward-ca",
                    "--replicas=0")
    # Kubernetes' own controllers may still wait after an outage before this one.
    await_that("no CA is left", lambda: not cluster.get(
        "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=nodeward-ca"), 180,
        0.5)
    s.check("without a CA", mesh.outcome("gone", "sleep", gone.URL), "200")
    cluster.kubectl("-n", SYSTEM, "scale", "deployment/nodeward-ca",
                    "--replicas=2")
    cluster.await_pods(SYSTEM, "app.kubernetes.io/name=nodeward-ca", 2)

    cluster.b.signal("kubelet", signal.SIGKILL)
    await_that("the kubelet is back", lambda: cluster.b.run(
        "pgrep", "-x", "kubelet", check=False).returncode == 0, 60, 0.5)
    s.check("after a kubelet's restart", mesh.outcome(
        "gone", "sleep", gone.URL), "200")
    runtime_restarts(s, mesh)
    reboot(s, mesh)


# The agent's own command from outside of its container, which cannot be entered
# while there is no runtime.
STATUS = """
pid=$(pgrep -o -f '[n]odeward agent')
exec /proc/$pid/root/usr/bin/nodeward status -o json --run-dir /run/nodeward
"""


def runtime_restarts(s, mesh):
    cluster = mesh.cluster

    def problems():
        done = cluster.b.run("sh", "-c", STATUS, check=False)
        return [one["reason"] for one in json.loads(done.stdout)["problems"]]
    cluster.b.signal("containerd", signal.SIGKILL)
    await_that("the agent misses the container runtime", lambda: any(
        "container runtime" in one for one in problems()), 60, 0.5)
    s.check("without a container runtime", mesh.outcome(
        "gone", "sleep", gone.URL), "200")
    cluster.b.start_containerd()
    await_that("the agent has found it again", lambda: not problems(), 60, 0.5)
    s.that("the agent has found it again", True)
    mesh.sleep("gone", "later", node="node-b")
    mesh.await_state("gone", "later", "enrolled")
    s.check("a pod that starts then", mesh.outcome(
        "gone", "later", gone.URL), "200")


def reboot(s, mesh):
    cluster = mesh.cluster
    cluster.b.die()
    s.check("while its server's node is down", mesh.outcome(
        "gone", "sleep", gone.URL) == "200", False)
    cluster.b.boot()
    cluster.b.start_containerd()
    cluster.b.start_kubelet(cluster.plane)
    cluster.b.start_proxy(cluster.plane)
    seen = set()

    def served():
        seen.add(mesh.outcome("legacy", "sleep", gone.URL))
        return mesh.outcome("gone", "sleep", gone.URL) == "200"
    await_that("served after a reboot", served, 180, 0.5)
    s.that("served after a reboot", True)
    s.note(f"plaintext meanwhile: {sorted(seen)}")
    s.that("plaintext got through at no time", "200" not in seen)
    await_that("plaintext is refused", lambda: mesh.outcome(
        "legacy", "sleep", gone.URL) == "refused", 60, 0.5)
    s.that("plaintext is refused", True)
