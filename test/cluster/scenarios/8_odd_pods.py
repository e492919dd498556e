# SPDX-License-Identifier: Apache-2.0
"""Pods with sidecars, of the host's network, of kube-system; Jobs that ended,
init containers, StatefulSets, host ports."""
import json
import time

from harness.process import await_that
from mesh import account, deployment, peer_authentication

ONLY_WITH_ALL = True
HOST_PORT = 30181
URL = "http://httpbin.odd:8000/ip"
# Until the mesh lets it: plaintext never will.
CALL = ["/bin/sh", "-c", f"until /usr/bin/curl -sf -m 5 {URL}; "
        "do sleep 0.3; done"]


def pods(mesh):
    """{"namespace/name": (state, the reason's last part)} of all nodes."""
    found = {}
    for node in mesh.cluster.nodes:
        for pod in json.loads(mesh.ask(node, "status", "-o",
                                       "json").stdout)["pods"]:
            found[f"{pod['namespace']}/{pod['name']}"] = (
                pod["state"], pod.get("reason", "").split(": ")[-1])
    return found


def pod_of(mesh, namespace, app):
    return mesh.cluster.get("pods", "-n", namespace, "-l", f"app={app}")[0]


def settled(mesh, namespace, app, url, expected):
    try:
        await_that("settled", lambda: mesh.outcome(
            namespace, app, url) == expected, 30, 0.3)
    except TimeoutError:
        pass
    return mesh.outcome(namespace, app, url)


def annotated(made, **annotations):
    made["spec"]["template"]["metadata"]["annotations"] = annotations
    return made


def scenario(s, mesh):
    mesh.ready()
    mesh.namespace("odd", **{"nodeward.io/mesh": "enabled"})
    mesh.namespace("legacy")
    mesh.cluster.apply(peer_authentication("odd", "STRICT"))
    mesh.httpbin("odd", node="node-b")
    mesh.sleep("odd", node="node-a")
    mesh.sleep("legacy", node="node-a")
    for namespace, app in (("odd", "httpbin"), ("odd", "sleep"),
                           ("legacy", "sleep")):
        mesh.cluster.await_pods(namespace, f"app={app}")
    for app in ("httpbin", "sleep"):
        mesh.await_state("odd", app, "enrolled")
    s.check("a meshed client", settled(mesh, "odd", "sleep", URL, "200"),
            "200")
    s.check("one that is not", settled(mesh, "legacy", "sleep", URL, "refused"),
            "refused")
    left_alone(s, mesh)
    init_container(s, mesh)
    completed_job(s, mesh)
    stateful_set(s, mesh)
    host_port(s, mesh)


def left_alone(s, mesh):
    """Sidecars, the host's network and the cluster's own."""
    cluster = mesh.cluster
    status = {"sidecar.istio.io/status": "{}"}
    proxy = {"name": "istio-proxy", "image": "localhost/shell:1",
             "imagePullPolicy": "Never"}
    both = deployment("sidecar", "odd", "localhost/httpbin:1", "node-b")
    both["spec"]["template"]["spec"]["containers"].append(proxy)
    cluster.apply(
        account("sidecar", "odd"), annotated(both, **status),
        account("claims", "odd"), annotated(deployment(
            "claims", "odd", "localhost/httpbin:1", "node-b"), **status),
        account("host", "odd"), deployment(
            "host", "odd", node="node-b", pod={"hostNetwork": True}))
    for app in ("sidecar", "claims", "host"):
        cluster.await_pods("odd", f"app={app}")
    mesh.await_state("odd", "claims", "enrolled")
    seen = pods(mesh)

    def of(app):
        return seen[f"odd/{mesh.pod('odd', app)}"]
    s.check("a pod with a sidecar", of("sidecar"), (
        "skipped", "a sidecar captures its traffic"))
    s.check("a pod of the host's network", of("host"), (
        "skipped", "it shares the node's network namespace"))

    def plaintext(app):
        address = pod_of(mesh, "odd", app)["status"]["podIP"]
        return f"http://{address}/ip"
    s.check("a sidecar's pod is reached as before", settled(
        mesh, "legacy", "sleep", plaintext("sidecar"), "200"), "200")
    s.check("also from the mesh", settled(
        mesh, "odd", "sleep", plaintext("sidecar"), "200"), "200")
    s.check("an annotation alone takes nobody out", settled(
        mesh, "legacy", "sleep", plaintext("claims"), "refused"), "refused")
    s.that("and that is told", "sidecar.istio.io~1status: has no effect"
           in mesh.ask("node-b", "status").stdout)

    mesh.label("kube-system", "nodeward.io/mesh=enabled")
    mesh.label("legacy", "nodeward.io/mesh=enabled")  # later news
    mesh.await_state("legacy", "sleep", "enrolled")
    dns = mesh.cluster.get("pods", "-n", "kube-system", "-l",
                           "k8s-app=kube-dns")[0]["metadata"]["name"]
    s.check("kube-system, whatever its label", pods(mesh)[
        f"kube-system/{dns}"], (
            "skipped", "namespace kube-system is never in the mesh"))
    mesh.label("kube-system", "nodeward.io/mesh-")
    mesh.label("legacy", "nodeward.io/mesh-")
    mesh.await_state("legacy", "sleep", None)


def init_container(s, mesh):
    made = deployment("init", "odd", node="node-a")
    made["spec"]["template"]["spec"]["initContainers"] = [{
        "name": "first", "image": "localhost/shell:1",
        "imagePullPolicy": "Never", "command": CALL}]
    begin = time.monotonic()
    mesh.cluster.apply(account("init", "odd"), made)
    mesh.cluster.await_pods("odd", "app=init")
    s.that("an init container speaks mutual TLS", True)
    s.note(f"Ready after {time.monotonic() - begin:.1f} s")


def completed_job(s, mesh):
    """Its address may be another pod's soon."""
    cluster = mesh.cluster
    template = deployment("job", "odd", node="node-b", command=CALL)[
        "spec"]["template"]
    template["spec"]["restartPolicy"] = "Never"
    cluster.apply(account("job", "odd"), {
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "job", "namespace": "odd"},
        "spec": {"template": template}})
    await_that("the Job is through", lambda: pod_of(
        mesh, "odd", "job")["status"]["phase"] == "Succeeded", 90, 0.5)
    job = pod_of(mesh, "odd", "job")
    address, name = job["status"]["podIP"], job["metadata"]["name"]
    await_that("its pod is out", lambda: pods(mesh)[f"odd/{name}"][0]
               == "skipped", 30, 0.5)
    s.check("a Job that has ended", pods(mesh)[f"odd/{name}"],
            ("skipped", "phase Succeeded"))
    # host-local hands addresses out in turn; this makes it the Job's turn.
    networks = "/var/lib/cni/networks/pods"
    await_that("its address is free", lambda: cluster.b.run(
        "test", "-e", f"{networks}/{address}", check=False).returncode, 60, 0.5)
    head, last = address.rsplit(".", 1)
    cluster.b.run("sh", "-c", f"printf {head}.{int(last) - 1} > "
                  f"{networks}/last_reserved_ip.0")
    mesh.httpbin("legacy", "heir", node="node-b")
    heir = cluster.await_pods("legacy", "app=heir")[0]
    s.check("another pod has its address", heir["status"]["podIP"], address)
    url = f"http://{address}/ip"
    s.check("and is not taken for it", settled(mesh, "odd", "sleep", url,
                                               "200"), "200")
    s.check("nor may it what the Job might", mesh.cluster.kubectl(
        "exec", "-n", "legacy", "deploy/heir", "--", "/usr/bin/python3", "-c",
        "import urllib.request\ntry:\n urllib.request.urlopen("
        f"'{URL}', timeout=5)\n print('served')\nexcept OSError:\n "
        "print('refused')", check=False).stdout.strip(), "refused")


def stateful_set(s, mesh):
    cluster = mesh.cluster
    labels = {"app": "web"}
    pod = deployment("web", "odd", "localhost/httpbin:1", "node-b",
                     readinessProbe={"tcpSocket": {"port": 80},
                                     "periodSeconds": 1})["spec"]["template"]
    cluster.apply(account("web", "odd"), {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "odd"},
        "spec": {"clusterIP": "None", "selector": labels, "ports": [
            {"name": "http", "port": 80}]}}, {
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": "odd"},
        "spec": {"serviceName": "web", "replicas": 1, "template": pod,
                 "selector": {"matchLabels": labels}}})
    cluster.await_pods("odd", "app=web")
    mesh.await_state("odd", "web", "enrolled")
    url = "http://web-0.web.odd/ip"
    s.check("a StatefulSet's pod by its name", settled(
        mesh, "odd", "sleep", url, "200"), "200")
    before = pod_of(mesh, "odd", "web")
    cluster.kubectl("delete", "pod", "-n", "odd", "web-0")
    after = cluster.await_pods("odd", "app=web")[0]
    begin = time.monotonic()
    s.that("it comes back as another, at another address",
           after["metadata"]["uid"] != before["metadata"]["uid"]
           and after["status"]["podIP"] != before["status"]["podIP"])
    direct = f"http://{after['status']['podIP']}/ip"
    s.check("at its new address", settled(mesh, "odd", "sleep", direct, "200"),
            "200")
    s.note(f"{time.monotonic() - begin:.1f} s after it was Ready")
    s.check("by its name", settled(mesh, "odd", "sleep", url, "200"), "200")
    s.check("and STRICT holds", settled(mesh, "legacy", "sleep", direct,
                                        "refused"), "refused")


def host_port(s, mesh):
    cluster = mesh.cluster
    cluster.apply(account("port", "odd"), deployment(
        "port", "odd", "localhost/httpbin:1", "node-b",
        ports=[{"containerPort": 80, "hostPort": HOST_PORT}]))
    cluster.await_pods("odd", "app=port")
    mesh.await_state("odd", "port", "enrolled")
    url = f"http://{cluster.b.address}:{HOST_PORT}/ip"
    s.check("a hostPort under STRICT", settled(
        mesh, "legacy", "sleep", url, "refused"), "refused")
    cluster.apply(peer_authentication("odd", "PERMISSIVE"))
    s.check("and under PERMISSIVE", settled(
        mesh, "legacy", "sleep", url, "200"), "200")
    cluster.apply(peer_authentication("odd", "STRICT"))
