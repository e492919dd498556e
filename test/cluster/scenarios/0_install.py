# SPDX-License-Identifier: Apache-2.0
"""Helm takes the chart, and what it installs comes up."""
import json
import os
import subprocess

from harness.process import await_that
from mesh import SYSTEM


def scenario(s, mesh):
    cluster = mesh.cluster
    s.check("helm lint", cluster.helm(
        "lint", mesh.chart, "--strict", check=False).returncode, 0)
    s.that("the plain manifest is what the chart gives", subprocess.run(
        [os.path.join(mesh.chart, "../generate"), "--check"], check=False,
        env=os.environ | {"HELM": f"{cluster.programs}/helm"}).returncode == 0)
    said = cluster.helm("template", mesh.chart, "--set", "ca.replicas=none",
                        "--kube-version", "1.34", check=False)
    s.that("a wrong value is refused by its schema",
           said.returncode != 0 and "replicas" in said.stderr)
    mesh.install()
    s.check("agents", len(cluster.await_pods(
        SYSTEM, "app.kubernetes.io/name=nodeward-agent", 2)), 2)
    s.check("CAs", len(cluster.await_pods(
        SYSTEM, "app.kubernetes.io/name=nodeward-ca", 2)), 2)
    secret = cluster.get("secret", "nodeward-ca", "-n", SYSTEM)[0]
    roots = cluster.get("configmap", "nodeward-ca-root", "-n", SYSTEM)[0]
    s.check("the issuer's Secret", (secret["type"], sorted(secret["data"])),
            ("kubernetes.io/tls", ["ca.crt", "tls.crt", "tls.key"]))
    s.that("the roots are published",
           "BEGIN CERTIFICATE" in roots["data"]["root-cert.pem"])
    least_privilege(s, cluster)
    own_token(s, cluster)
    admission(s, mesh)


def least_privilege(s, cluster):
    """What the accounts may not do."""
    def may(account, *words):
        return cluster.kubectl(
            "auth", "can-i", *words,
            f"--as=system:serviceaccount:{SYSTEM}:{account}",
            check=False).stdout.strip()
    for account, words in (
            ("nodeward-agent", ("list", "secrets", "-A")),
            ("nodeward-agent", ("get", "secrets", "-n", SYSTEM)),
            ("nodeward-agent", ("list", "configmaps", "-A")),
            ("nodeward-agent", ("create", "serviceaccounts/token", "-A")),
            ("nodeward-agent", ("create", "serviceaccounts/nodeward-ca",
                                "--subresource=token", "-n", SYSTEM)),
            ("nodeward-cni", ("list", "pods", "-A")),
            ("nodeward-cni", ("get", "secrets", "-A")),
            ("nodeward-agent", ("create", "pods", "-n", SYSTEM)),
            ("nodeward-agent", ("patch", "pods", "-n", SYSTEM)),
            ("nodeward-agent", ("patch", "nodes")),
            ("nodeward-ca", ("get", "secrets", "-n", SYSTEM)),
            ("nodeward-ca", ("list", "secrets", "-A")),
            ("nodeward-ca", ("patch", "configmaps", "-n", SYSTEM)),
            ("nodeward-ca", ("list", "configmaps", "-A")),
            ("nodeward-ca", ("create", "configmaps", "-n", "default")),
            ("nodeward-ca", ("delete", "configmaps/any", "-n", "default")),
            ("nodeward-ca", ("update", "leases/any", "-n", SYSTEM)),
            ("nodeward-ca", ("create", "events.events.k8s.io", "-n",
                             "default")),
            ("nodeward-ca-secret", ("get", "secrets", "-n", SYSTEM)),
            ("nodeward-ca-secret", ("create", "secrets", "-n", "default"))):
        s.check(f"may {account} {' '.join(words)}", may(account, *words), "no")
    s.check("may the agent see its own DaemonSet", may(
        "nodeward-agent", "get", "daemonsets/nodeward-agent", "-n", SYSTEM),
        "yes")


def own_token(s, cluster):
    """What comes of it who takes an agent's token off its node."""
    agents = {pod["spec"]["nodeName"]: pod["metadata"] for pod in cluster.get(
        "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=nodeward-agent")}
    token = cluster.a.run(
        "sh", "-c", f"cat /var/lib/kubelet/pods/{agents['node-a']['uid']}/"
        "volumes/kubernetes.io~projected/kube-api-access-*/token").stdout

    def ask(method, path, body=None):
        """The HTTP status."""
        return int(cluster.a.run(
            "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X",
            method, "--cacert", cluster.plane.roots, "-H",
            f"Authorization: Bearer {token}", "-H", "Content-Type: " + (
                "application/merge-patch+json" if method == "PATCH"
                else "application/json"),
            *(["-d", json.dumps(body)] if body else []),
            cluster.plane.server + path).stdout)
    here = f"/api/v1/namespaces/{SYSTEM}"
    mint = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {}}
    s.check("it reads pods", ask("GET", "/api/v1/pods"), 200)
    for what, method, path, body in (
            ("every Secret", "GET", "/api/v1/secrets", None),
            ("the issuer", "GET", f"{here}/secrets/nodeward-ca", None),
            ("every ConfigMap", "GET", "/api/v1/configmaps", None),
            ("a token of the CA", "POST",
             f"{here}/serviceaccounts/nodeward-ca/token", mint),
            ("a token of its own", "POST",
             f"{here}/serviceaccounts/nodeward-agent/token", mint),
            ("a command in a pod", "POST", f"{here}/pods/"
             f"{agents['node-b']['name']}/exec?command=x&stdout=1", None),
            ("a pod's end", "DELETE",
             f"{here}/pods/{agents['node-b']['name']}", None),
            ("a pod's labels", "PATCH",
             f"{here}/pods/{agents['node-a']['name']}",
             {"metadata": {"labels": {"a": "b"}}}),
            ("a node", "PATCH", "/api/v1/nodes/node-a",
             {"metadata": {"labels": {"a": "b"}}})):
        s.check(f"with an agent's token: {what}", ask(method, path, body), 403)

    def mark(node, change):
        return ask("PATCH", f"{here}/pods/{agents[node]['name']}/status",
                   change)
    note = {"metadata": {"annotations": {"nodeward.io/test": "1"}}}
    s.check("a mark on a pod of its own node", mark("node-a", note), 200)
    await_that("a mark on another node's pod is refused", lambda: mark(
        "node-b", note) in (403, 422), 20, 0.5)
    s.check("where a pod is", mark("node-a", {"status": {
        "podIP": "10.9.9.9", "podIPs": [
        {"ip": "10.9.9.9"}]}}) in (403, 422), True)
    mark("node-a", {"metadata": {"annotations": {"nodeward.io/test": None}}})


def admission(s, mesh):
    """A pod may not have the kubelet probe another one."""
    cluster = mesh.cluster

    def try_pod(probe):
        return cluster.kubectl(
            "run", "deputy", "--image=localhost/shell:1", "--dry-run=server",
            "--overrides", '{"spec":{"containers":[{"name":"deputy","image":'
            '"localhost/shell:1","livenessProbe":{"httpGet":{' + probe
            + '"port":80}}}]}}', check=False)
    await_that("a probe of another pod is refused", lambda: try_pod(
        '"host":"10.246.1.9",').returncode != 0, 20, 0.5)
    s.that("with the reason", "a probe's host must be the pod itself"
           in try_pod('"host":"10.246.1.9",').stderr)
    s.check("one of the pod itself is not", try_pod("").returncode, 0)
