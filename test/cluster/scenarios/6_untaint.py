# SPDX-License-Identifier: Apache-2.0
"""agent.untaint: an agent takes the taint off its own node, and changes nothing
else of any."""
import json

from harness.process import await_that
from mesh import SYSTEM

ONLY_WITH_ALL = True
TAINT = "nodeward.io/agent-not-ready"


def taints(cluster, node):
    return sorted(each["key"] for each in cluster.get("node", node)[0][
        "spec"].get("taints", []))


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    cluster.kubectl("taint", "node", "node-b", f"{TAINT}=:NoSchedule",
                    "example.org/other=:PreferNoSchedule")
    cluster.helm("upgrade", "nodeward", mesh.chart, "-n", SYSTEM,
                 *mesh.settings, "--set", "agent.untaint=true", "--wait",
                 "--timeout", "150s", timeout=200)
    cluster.kubectl("rollout", "status", "-n", SYSTEM, "--timeout=150s",
                    "daemonset/nodeward-agent", timeout=200)
    await_that("the taint is gone", lambda: TAINT not in taints(
        cluster, "node-b"), 60, 0.5)
    s.check("the other stays", taints(cluster, "node-b"), ["example.org/other"])
    cluster.kubectl("taint", "node", "node-b", f"{TAINT}=:NoSchedule")
    await_that("and again when it comes back", lambda: TAINT not in taints(
        cluster, "node-b"), 60, 0.5)
    s.that("it goes again when it comes back", True)
    tied(s, mesh)
    cluster.kubectl("taint", "node", "node-b", "example.org/other-")


def tied(s, mesh):
    """With the very token that an agent has."""
    cluster = mesh.cluster
    token = cluster.kubectl(
        "create", "token", "nodeward-agent", "-n", SYSTEM,
        "--bound-object-kind=Pod",
        f"--bound-object-name={mesh.agent('node-b')}").stdout.strip()

    def patch(node, change):
        """HTTP status of a merge patch."""
        return cluster.a.run(
            "curl", "-s", "-k", "-o", "/dev/null", "-w", "%{http_code}", "-X",
            "PATCH", "-H", f"Authorization: Bearer {token}", "-H",
            "Content-Type: application/merge-patch+json", "-d",
            json.dumps(change),
            f"https://{cluster.a.address}:6443/api/v1/nodes/{node}",
            check=False).stdout
    label = {"metadata": {"labels": {"example.org/mine": "yes"}}}
    s.check("a label of its own node", patch("node-b", label), "422")
    s.check("another taint of it", patch("node-b", {"spec": {
        "taints": None}}), "422")
    s.check("cordoning it", patch("node-b", {"spec": {
        "unschedulable": True}}), "422")
    s.check("another node", patch("node-a", {"spec": {"taints": None}}), "422")
    s.check("nothing at all, of its own", patch("node-b", {}), "200")
