# SPDX-License-Identifier: Apache-2.0
"""No API server, no CA, a node that reboots: the data path stays as it was."""
import importlib
import re
import signal
import time

from harness.process import await_that
from mesh import SYSTEM

ONLY_WITH_ALL = True
gone = importlib.import_module("4_agent_gone")


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    gone.prepare(mesh)
    pod = cluster.get("pods", "-n", "gone", "-l", "app=sleep")[0]
    container = pod["status"]["containerStatuses"][0]["containerID"]
    tasks = cluster.a.run("ctr", "-n", "k8s.io", "task", "ls").stdout
    pid = re.search(container.rsplit("/", 1)[1] + r"\s+(\d+)", tasks)[1]

    def served():
        """As the pod does it, without the API server's exec."""
        return cluster.a.run_inside(
            "nsenter", "-t", pid, "-n", "curl", "-s", "-o", "/dev/null", "-m",
            "10", "-w", "%{http_code}", gone.URL, check=False).stdout
    s.check("before", served(), "200")
    cluster.plane.apiserver.kill()
    seen, end = set(), time.monotonic() + 60
    while time.monotonic() < end:
        seen.add(served())
        time.sleep(1)
    s.check("a minute without the API server", seen, {"200"})
    cluster.plane.start_apiserver()
    await_that("nodes are Ready", cluster.ready_nodes, 120, 0.5)

    cluster.kubectl("-n", SYSTEM, "scale", "deployment/nodeward-ca",
                    "--replicas=0")
    await_that("no CA is left", lambda: not cluster.get(
        "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=nodeward-ca"), 60,
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
