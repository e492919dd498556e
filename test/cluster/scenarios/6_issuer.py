# SPDX-License-Identifier: Apache-2.0
"""Two CAs: the leader dies while agents ask, the issuer's Secret is replaced."""
import base64
import json
import re

from harness.process import await_that, run
from mesh import SYSTEM, account, deployment

ONLY_WITH_ALL = True
CA = "app.kubernetes.io/name=nodeward-ca"
MANY = 6


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    mesh.namespace("issued", **{"nodeward.io/mesh": "enabled"})
    cluster.await_pods(SYSTEM, CA, 2)
    url = "http://httpbin.issued:8000/headers"
    killed_while_issuing(s, mesh, url)
    bundles(s, mesh)
    rotated(s, mesh, url)


def leader(cluster):
    """The pod that holds the Lease, if it is one that runs."""
    found = cluster.kubectl("get", "lease", "nodeward-ca", "-n", SYSTEM, "-o",
                            "jsonpath={.spec.holderIdentity}",
                            check=False).stdout
    names = [pod["metadata"]["name"] for pod in cluster.get(
        "pods", "-n", SYSTEM, "-l", CA)]
    return next((name for name in names if found.startswith(f"{name}_")), None)


def failures(mesh):
    """{identity: attempts of an agent that failed}"""
    count = {}
    for node in mesh.cluster.nodes:
        log = mesh.cluster.kubectl("logs", "-n", SYSTEM, mesh.agent(node),
                                   check=False).stdout
        for line in log.splitlines():
            if "certificate not issued" not in line:
                continue
            found = re.search(r"spiffe://[^\"\s]+/ns/issued/sa/[^\"\s]+", line)
            if found:
                count[found[0]] = count.get(found[0], 0) + 1
    return count


def killed_while_issuing(s, mesh, url):
    cluster = mesh.cluster
    first = await_that("one of them leads", lambda: leader(cluster), 60, 0.5)
    mesh.httpbin("issued", node="node-b")
    mesh.sleep("issued", node="node-a")
    apps = [f"many-{number}" for number in range(MANY)]
    for number, app in enumerate(apps):
        cluster.apply(account(app, "issued"), deployment(
            app, "issued", node=("node-a", "node-b")[number % 2],
            command=["/bin/sleep", "infinity"]))
    # Now they are asked for.
    cluster.kubectl("delete", "pod", "-n", SYSTEM, "--force",
                    "--grace-period=0", first)
    for app in ["httpbin", "sleep", *apps]:
        cluster.await_pods("issued", f"app={app}")
        mesh.await_state("issued", app, "enrolled")

    def certified():
        said = [mesh.ask(node, "certs").stdout for node in cluster.nodes]
        return all(any(re.search(rf"/sa/{app}\s.*valid", text)
                       for text in said) for app in apps)
    await_that("every account has a certificate", certified, 60, 0.5)
    s.that("every account has a certificate while the leader is killed", True)
    failed = failures(mesh)
    s.note(f"attempts that failed: {failed or 'none'}")
    s.that("none beyond a retry", all(n <= 2 for n in failed.values()))
    await_that("traffic", lambda: "spiffe" in mesh.body("issued", "sleep", url),
               60, 0.5)
    await_that("another one leads", lambda: leader(cluster) not in (
        None, first), 60, 0.5)
    s.that("another one leads", True)


def roots_in(cluster, namespace):
    return cluster.kubectl(
        "get", "configmap", "nodeward-ca-root", "-n", namespace, "-o",
        r"jsonpath={.data.root-cert\.pem}", check=False).stdout


def bundles(s, mesh):
    """The roots in a namespace of the mesh, by the new leader."""
    cluster = mesh.cluster
    roots = roots_in(cluster, SYSTEM)
    await_that("the namespace has them", lambda: roots_in(
        cluster, "issued") == roots, 30, 0.5)
    cluster.kubectl("patch", "configmap", "nodeward-ca-root", "-n", "issued",
                    "-p", '{"data":{"root-cert.pem":"mine"}}')
    await_that("an edit is mended", lambda: roots_in(
        cluster, "issued") == roots, 30, 0.5)
    cluster.kubectl("delete", "configmap", "nodeward-ca-root", "-n", SYSTEM)
    await_that("the agents' own, too", lambda: roots_in(
        cluster, SYSTEM) == roots, 30, 0.5)
    s.that("roots are kept right", True)


def shown(cluster):
    """As README says."""
    return cluster.kubectl(
        "get", "events", "-n", SYSTEM, "--field-selector",
        "reason=IssuerUpdated", "--no-headers", check=False
    ).stdout.splitlines()


def rotated(s, mesh, url):
    """A new intermediate under the old root, as cert-manager would write it."""
    cluster = mesh.cluster
    s.check("events before", shown(cluster), [])
    cluster.await_pods(SYSTEM, CA, 2)
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
                for pod in cluster.get("pods", "-n", SYSTEM, "-l", CA)]
        return all("IssuerUpdated" in log for log in logs)
    # The kubelet brings a Secret's change within a minute or so.
    await_that("both CAs have the new issuer", swapped, 150, 1)
    s.that("both CAs have the new issuer", True)
    await_that("an Event tells", lambda: shown(cluster), 30, 0.5)
    # One that stops gives the Lease back, and its successor saw the same.
    before = leader(cluster)
    cluster.kubectl("delete", "pod", "-n", SYSTEM, "--wait=false", before)
    await_that("another one leads", lambda: leader(cluster) not in (
        None, before), 60, 0.2)
    lines = shown(cluster)
    s.note("\n      ".join(lines))
    s.check("Events", [line.split(None, 1)[1].split(None, 3)
                       for line in lines],
            [["Normal", "IssuerUpdated", "deployment/nodeward-ca",
              "Updated identity issuer"]])
    s.that("it is the Deployment's", "Updated identity issuer" in
           cluster.kubectl("describe", "deployment", "nodeward-ca", "-n",
                           SYSTEM).stdout)
    s.check("traffic after it", mesh.outcome("issued", "sleep", url), "200")
    mesh.sleep("issued", "another", node="node-a")
    cluster.await_pods("issued", "app=another")
    mesh.await_state("issued", "another", "enrolled")
    await_that("a new account is certified", lambda: "spiffe" in mesh.body(
        "issued", "another", url), 60, 0.5)
    s.that("a new account is certified", True)
