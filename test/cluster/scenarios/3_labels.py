# SPDX-License-Identifier: Apache-2.0
"""A label on a running namespace enrols its pods, and without it they leave."""
import json

from harness.process import await_that
from mesh import peer_authentication


CNI = "/etc/cni/net.d"


def starts(node, namespace):
    """May a pod start there while neither agent nor API server answers? As the
    plugin says with what the agent has left it."""
    plugin = json.loads(node.run("cat", f"{CNI}/10-pods.conflist").stdout)[
        "plugins"][-1]
    plugin |= {"cniVersion": "1.0.0", "name": "pods", "socket": "/none",
               "kubeconfig": "/none", "prevResult": {
                   "cniVersion": "1.0.0", "ips": []}}
    done = node.run(
        "env", "CNI_COMMAND=ADD", "CNI_CONTAINERID=c", "CNI_IFNAME=eth0",
        "CNI_NETNS=/proc/self/ns/net", "CNI_PATH=/opt/cni/bin",
        f"CNI_ARGS=K8S_POD_NAMESPACE={namespace};K8S_POD_NAME=new",
        "/opt/cni/bin/nodeward-cni", stdin=json.dumps(plugin), check=False)
    return done.returncode == 0


def own_label(s, mesh, url):
    """One that opts itself in, in a namespace that has not."""
    node, name = mesh.cluster.a, mesh.pod("later", "httpbin")

    def both():
        return starts(node, "later"), starts(node, "legacy")
    await_that("its namespace is known as any other",
               lambda: both() == (True, True), 30, 0.5)
    for word, state in (("enabled", "enrolled"), ("disabled", None)):
        mesh.cluster.kubectl("label", "pod", name, "-n", "later",
                             "--overwrite", f"nodeward.io/mesh={word}")
        mesh.await_state("later", "httpbin", state)
        enrolled = state is not None
        s.check(f"its own label: {word}", mesh.outcome(
            "legacy", "sleep", url), "refused" if enrolled else "200")
        expected = not enrolled, True
        await_that(f"the other node's plugin has: {expected}",
                   lambda now=expected: both() == now, 30, 0.5)
        s.check("others may start there, and elsewhere, with all away",
                both(), expected)


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
    own_label(s, mesh, url)
    after = cluster.await_pods("later", "app=httpbin")[0]
    s.check("the same pod, never restarted", (
        after["metadata"]["uid"] == before["metadata"]["uid"],
        after["status"]["containerStatuses"][0]["restartCount"]), (True, 0))
