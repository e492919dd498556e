# SPDX-License-Identifier: Apache-2.0
"""The kubelet's probes pass under STRICT; who looks like them does not."""
import time

from harness.process import await_that
from mesh import account, deployment, peer_authentication

NODE_PORT = 30080
# grpc.health.v1.Health/Check without generated code: SERVING is 08 01.
GRPC_HEALTH = """
import concurrent.futures, grpc, threading
class Health(grpc.GenericRpcHandler):
    def service(self, call):
        if call.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: bytes([8, 1]))
server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Health(),))
server.add_insecure_port("0.0.0.0:9000")
server.start()
threading.Event().wait()
"""
TIMES = {"periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 2}


def restarts(pod):
    return sum(one["restartCount"] for one in
               pod["status"]["containerStatuses"])


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    mesh.namespace("probes", **{"nodeward.io/mesh": "enabled"})
    mesh.namespace("legacy")
    cluster.apply(peer_authentication("probes", "STRICT"))
    mesh.httpbin("probes", "httpbin-probe", node="node-b", livenessProbe={
        "httpGet": {"path": "/status/200", "port": 80},
        "initialDelaySeconds": 3, **TIMES}, readinessProbe={
            "httpGet": {"path": "/status/200", "port": 80}, **TIMES})
    mesh.httpbin("probes", "httpbin-tcp", node="node-b", livenessProbe={
        "tcpSocket": {"port": 80}, **TIMES})
    cluster.apply(account("grpc", "probes"), deployment(
        "grpc", "probes", "localhost/httpbin:1", "node-a",
        command=["/usr/bin/python3", "-c", GRPC_HEALTH],
        livenessProbe={"grpc": {"port": 9000}, "initialDelaySeconds": 3,
                       **TIMES}))
    cluster.apply({"apiVersion": "v1", "kind": "Service",
                   "metadata": {"name": "outside", "namespace": "probes"},
                   "spec": {"type": "NodePort",
                            "selector": {"app": "httpbin-probe"},
                            "ports": [{"port": 8000, "targetPort": 80,
                                       "nodePort": NODE_PORT}]}},
                  account("host", "legacy"),
                  deployment("host", "legacy", node="node-b",
                             pod={"hostNetwork": True},
                             command=["/bin/sleep", "infinity"]))
    mesh.sleep("legacy", node="node-a")
    begin = time.monotonic()
    apps = ("httpbin-probe", "httpbin-tcp", "grpc")
    for app in apps:
        cluster.await_pods("probes", f"app={app}")
        mesh.await_state("probes", app, "enrolled")
    for app in ("host", "sleep"):
        cluster.await_pods("legacy", f"app={app}")

    address = cluster.get("pods", "-n", "probes", "-l", "app=httpbin-probe")[
        0]["status"]["podIP"]
    url = f"http://{address}:80/status/200"

    def refused(app, target):
        try:
            await_that(f"{app} is refused", lambda: mesh.outcome(
                "legacy", app, target) == "refused", 20, 0.5)
        except TimeoutError:
            pass
        return mesh.outcome("legacy", app, target)
    s.check("a pod outside of the mesh", refused("sleep", url), "refused")
    s.check("a hostNetwork pod of its node, to the probed port",
            refused("host", url), "refused")
    s.check("a client of its node's NodePort", refused(
        "sleep", f"http://{cluster.b.address}:{NODE_PORT}/status/200"),
        "refused")
    s.check("a client of the other node's NodePort", refused(
        "sleep", f"http://{cluster.a.address}:{NODE_PORT}/status/200"),
        "refused")

    await_that("a minute has passed",
               lambda: time.monotonic() - begin > 60, 90, 1)
    for app in apps:
        pod = cluster.get("pods", "-n", "probes", "-l", f"app={app}")[0]
        s.check(f"{app} after a minute",
                (pod["status"]["phase"], restarts(pod)), ("Running", 0))
    events = cluster.kubectl("get", "events", "-n", "probes",
                             "--field-selector", "reason=Unhealthy").stdout
    s.note(f"Unhealthy: {len(events.splitlines())} lines")
