# SPDX-License-Identifier: Apache-2.0
"""A label on a running namespace enrols its pods, and without it they leave."""
from harness.process import await_that
from mesh import peer_authentication


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    mesh.namespace("later")
    mesh.namespace("legacy")
    mesh.httpbin("later", node="node-b")
    mesh.sleep("legacy", node="node-a")
    cluster.await_pods("legacy", "app=sleep")
    before = cluster.await_pods("later", "app=httpbin")[0]
    url = "http://httpbin.later:8000/ip"

    def becomes(expected):
        try:
            await_that("settled", lambda: mesh.outcome(
                "legacy", "sleep", url) == expected, 30, 0.5)
        except TimeoutError:
            pass
        return mesh.outcome("legacy", "sleep", url)
    s.check("before", becomes("200"), "200")
    cluster.apply(peer_authentication("later", "STRICT"))
    mesh.label("later", "nodeward.io/mesh=enabled")
    mesh.await_state("later", "httpbin", "enrolled")
    s.check("labelled and STRICT, plaintext", becomes("refused"), "refused")
    marked = "ambient.istio.io/redirection"

    def annotation():
        return cluster.get("pods", "-n", "later", "-l", "app=httpbin")[0][
            "metadata"].get("annotations", {}).get(marked)
    await_that("marked as enrolled", lambda: annotation() == "enabled", 30, 0.5)

    def roots():
        return cluster.kubectl("get", "configmap", "nodeward-ca-root", "-n",
                               "later", check=False).returncode == 0
    await_that("the mesh's roots are there", roots, 30, 0.5)
    mesh.label("later", "nodeward.io/mesh-")
    mesh.await_state("later", "httpbin", None)
    s.check("the label is gone", becomes("200"), "200")
    await_that("the mark goes", lambda: annotation() is None, 30, 0.5)
    await_that("and the roots", lambda: not roots(), 30, 0.5)
    after = cluster.await_pods("later", "app=httpbin")[0]
    s.check("the same pod, never restarted", (
        after["metadata"]["uid"] == before["metadata"]["uid"],
        after["status"]["containerStatuses"][0]["restartCount"]), (True, 0))
