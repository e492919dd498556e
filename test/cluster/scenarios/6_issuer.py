# SPDX-License-Identifier: Apache-2.0
"""Two CAs: one dies, the issuer's Secret is replaced; agents go on."""
import base64
import json

from harness.process import await_that, run
from mesh import SYSTEM

ONLY_WITH_ALL = True


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    mesh.namespace("issued", **{"nodeward.io/mesh": "enabled"})
    pods = cluster.await_pods(SYSTEM, "app.kubernetes.io/name=nodeward-ca", 2)
    cluster.kubectl("delete", "pod", "-n", SYSTEM, "--force",
                    "--grace-period=0", pods[0]["metadata"]["name"])
    mesh.httpbin("issued", node="node-b")
    mesh.sleep("issued", node="node-a")
    for app in ("httpbin", "sleep"):
        cluster.await_pods("issued", f"app={app}")
        mesh.await_state("issued", app, "enrolled")
    url = "http://httpbin.issued:8000/headers"
    await_that("certificates while one CA is killed", lambda: "spiffe" in
               mesh.body("issued", "sleep", url), 60, 0.5)
    s.that("certificates while one CA is killed", True)

    # A new intermediate under the old root, as cert-manager would write it.
    folder = f"{cluster.folder}/rotation"
    run("mkdir", "-p", f"{folder}/root")
    old = cluster.get("secret", "nodeward-ca", "-n", SYSTEM)[0]["data"]
    for key, name in (("tls.crt", "ca.crt"), ("tls.key", "ca.key")):
        with open(f"{folder}/root/{name}", "wb") as file:
            file.write(base64.b64decode(old[key]))
    run("chmod", "0600", f"{folder}/root/ca.key")
    run(cluster.binary, "ca", "issue-intermediate", f"{folder}/root",
        f"{folder}/new")
    data = {}
    for name in ("tls.crt", "tls.key", "ca.crt"):
        with open(f"{folder}/new/{name}", "rb") as file:
            data[name] = base64.b64encode(file.read()).decode()
    cluster.kubectl("patch", "secret", "nodeward-ca", "-n", SYSTEM, "-p",
                    json.dumps({"data": data}))

    def swapped():
        logs = [cluster.kubectl("logs", "-n", SYSTEM, pod["metadata"]["name"],
                                check=False).stdout
                for pod in cluster.get(
                    "pods", "-n", SYSTEM, "-l",
                    "app.kubernetes.io/name=nodeward-ca")]
        return all("IssuerUpdated" in log for log in logs)
    # The kubelet brings a Secret's change within a minute or so.
    await_that("both CAs have the new issuer", swapped, 150, 1)
    s.that("both CAs have the new issuer", True)
    s.check("traffic after it", mesh.outcome("issued", "sleep", url), "200")
    mesh.sleep("issued", "another", node="node-a")
    cluster.await_pods("issued", "app=another")
    mesh.await_state("issued", "another", "enrolled")
    await_that("a new account is certified", lambda: "spiffe" in mesh.body(
        "issued", "another", url), 60, 0.5)
    s.that("a new account is certified", True)
