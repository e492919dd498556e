# SPDX-License-Identifier: Apache-2.0
"""httpbin in the mesh's namespace dual on node-b, which speaks both families,
Services of either, and who asks it."""
from harness.process import await_that
from mesh import BOTH_FAMILIES, account, deployment

NODE_PORT = 30182


def service(name, app="httpbin", **spec):
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "dual"},
            "spec": {"selector": {"app": app}, "ports": [
                {"name": "http", "port": 8000, "targetPort": 80}], **spec}}


def addresses(mesh, namespace, app):
    """[IPv4, IPv6], as URLs have them."""
    pod = mesh.cluster.get("pods", "-n", namespace, "-l", f"app={app}")[0]
    found = [one["ip"] for one in pod["status"]["podIPs"]]
    return sorted((f"[{ip}]" if ":" in ip else ip for ip in found),
                  key=lambda ip: ip[0] == "[")


def ways(mesh):
    """{what: curl's words} by which httpbin is reached."""
    four, six = addresses(mesh, "dual", "httpbin")
    vips = mesh.cluster.get("service", "six-first", "-n", "dual")[0]["spec"][
        "clusterIPs"]
    return {
        "a Service of IPv4": ["http://httpbin.dual:8000"],
        "a Service of IPv6": ["http://six.dual:8000"],
        "a Service of both, IPv4": ["http://both.dual:8000", "-4"],
        "a Service of both, IPv6": ["http://both.dual:8000", "-6"],
        "ClusterIP, IPv6": [f"http://[{vips[0]}]:8000"],
        "ClusterIP, IPv4": [f"http://{vips[1]}:8000"],
        "headless, IPv6": ["http://headless.dual", "-6"],
        "the pod, IPv4": [f"http://{four}"],
        "the pod, IPv6": [f"http://{six}"]}


def settled(ask, expected):
    try:
        await_that("settled", lambda: ask() == expected, 30, 0.3)
    except TimeoutError:
        pass
    return ask()


def all_ways(mesh, namespace, app, expected):
    """What comes of all, if not the same of each."""
    found = ways(mesh)

    def ask():
        seen = {what: mesh.outcome(namespace, app, url + "/ip", *words)
                for what, (url, *words) in found.items()}
        return expected if set(seen.values()) == {expected} else seen
    return settled(ask, expected)


def prepare(mesh):
    mesh.ready()
    mesh.namespace("dual", **{"nodeward.io/mesh": "enabled"})
    mesh.namespace("legacy")
    mesh.httpbin("dual", node="node-b", command=BOTH_FAMILIES)
    mesh.httpbin("dual", "old", node="node-b")
    mesh.cluster.apply(
        service("both", ipFamilyPolicy="RequireDualStack", type="NodePort",
                ports=[{"name": "http", "port": 8000, "targetPort": 80,
                        "nodePort": NODE_PORT}]),
        service("six", ipFamilies=["IPv6"]),
        service("six-first", ipFamilyPolicy="PreferDualStack",
                ipFamilies=["IPv6", "IPv4"]),
        service("headless", clusterIP="None",
                ipFamilyPolicy="RequireDualStack",
                ports=[{"name": "http", "port": 80}]))
    mesh.sleep("dual", node="node-a")
    mesh.sleep("dual", "near", node="node-b")
    mesh.sleep("legacy", node="node-a")
    mesh.cluster.apply(account("host", "legacy"), deployment(
        "host", "legacy", node="node-b", pod={"hostNetwork": True}))
    for namespace, app in (("dual", "httpbin"), ("dual", "old"),
                           ("dual", "sleep"), ("dual", "near"),
                           ("legacy", "sleep"), ("legacy", "host")):
        mesh.cluster.await_pods(namespace, f"app={app}")
    for app in ("httpbin", "old", "sleep", "near"):
        mesh.await_state("dual", app, "enrolled")
