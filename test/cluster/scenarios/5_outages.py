# SPDX-License-Identifier: Apache-2.0
"""No CA, a kubelet that restarts, a node that reboots: the data path stays."""
import importlib
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
    reboot(s, mesh)


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
