# SPDX-License-Identifier: Apache-2.0
"""httpbin and sleep by namespaces: PERMISSIVE, STRICT (also over IPv6), and a
policy's 403."""
from harness.process import await_that
from mesh import BOTH_FAMILIES, URL, peer_authentication

DENY = {
    "apiVersion": "security.istio.io/v1beta1", "kind": "AuthorizationPolicy",
    "metadata": {"name": "httpbin.mtls-test.svc.cluster.local",
                 "namespace": "mtls-test"},
    "spec": {"action": "DENY", "selector": {"matchLabels": {"app": "httpbin"}},
             "rules": [{"from": [{"source": {"principals": [
                 "cluster.local/ns/full/sa/sleep"]}}],
                 "to": [{"operation": {"methods": ["GET"]}}]}]}}


def prepare(mesh):
    """httpbin in mtls-test; sleep there, in full, and in legacy."""
    for name in ("full", "mtls-test"):
        mesh.namespace(name, **{"nodeward.io/mesh": "enabled"})
    mesh.namespace("legacy")
    mesh.httpbin("mtls-test", node="node-b", command=BOTH_FAMILIES)
    mesh.cluster.apply({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "six", "namespace": "mtls-test"},
        "spec": {"selector": {"app": "httpbin"}, "ipFamilies": ["IPv6"],
                 "ports": [{"name": "http", "port": 8000, "targetPort": 80}]}})
    for name, node in (("full", "node-a"), ("mtls-test", "node-b"),
                       ("legacy", "node-a")):
        mesh.sleep(name, node=node)
    for name, app in (("mtls-test", "httpbin"), ("full", "sleep"),
                      ("mtls-test", "sleep"), ("legacy", "sleep")):
        mesh.cluster.await_pods(name, f"app={app}")


def scenario(s, mesh):
    mesh.ready()
    prepare(mesh)
    for namespace, app in (("mtls-test", "httpbin"), ("full", "sleep"),
                           ("mtls-test", "sleep")):
        mesh.await_state(namespace, app, "enrolled")

    def matrix(url=URL):
        return {namespace: mesh.outcome(namespace, "sleep", f"{url}/ip")
                for namespace in ("full", "mtls-test", "legacy")}

    def settled(expected, url=URL):
        try:
            await_that("settled", lambda: matrix(url) == expected, 30, 0.5)
        except TimeoutError:
            pass
        return matrix(url)
    s.check("PERMISSIVE", settled({"full": "200", "mtls-test": "200",
                                   "legacy": "200"}),
            {"full": "200", "mtls-test": "200", "legacy": "200"})
    identity = "spiffe://cluster.local/ns/full/sa/sleep"
    s.that("the server is told who calls", identity in mesh.body(
        "full", "sleep", f"{URL}/headers"))
    s.that("in plaintext nobody is named", "spiffe" not in mesh.body(
        "legacy", "sleep", f"{URL}/headers"))

    mesh.cluster.apply(peer_authentication("mtls-test", "STRICT"))
    expected = {"full": "200", "mtls-test": "200", "legacy": "refused"}
    s.check("STRICT", settled(expected), expected)
    s.check("STRICT, IPv6", settled(expected, "http://six.mtls-test:8000"),
            expected)
    s.check("curl's exit when it is refused", mesh.curl(
        "legacy", "sleep", f"{URL}/ip"), ("000", 56))

    mesh.cluster.apply(DENY)
    expected = {"full": "403", "mtls-test": "200", "legacy": "refused"}
    s.check("DENY", settled(expected), expected)
    s.check("another method", mesh.curl(
        "full", "sleep", f"{URL}/post", "-X", "POST")[0], "200")
    mesh.cluster.kubectl("delete", "-n", "mtls-test", "authorizationpolicy",
                         "--all")
    mesh.cluster.kubectl("delete", "-n", "mtls-test", "peerauthentication",
                         "--all")
    expected = {"full": "200", "mtls-test": "200", "legacy": "200"}
    s.check("PERMISSIVE again", settled(expected), expected)
