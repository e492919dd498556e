# SPDX-License-Identifier: Apache-2.0
"""No API server for five minutes: traffic, probes and policy do not notice."""
import concurrent.futures
import glob
import importlib
import json
import re
import time

from harness.process import await_that
from mesh import SYSTEM, account, deployment

ONLY_WITH_ALL = True
AWAY = 300  # seconds
gone = importlib.import_module("4_agent_gone")

# In the network of a pod: one connection for all the time and new ones, ten
# times a second, for so many seconds.
_CLIENT = """
import collections, http.client, json, socket, sys, time
seen = {"kept": collections.Counter(), "new": collections.Counter()}
def count(what, act):
    try:
        seen[what][act()] += 1
    except (OSError, http.client.HTTPException):
        seen[what]["refused"] += 1
def new():
    connection = http.client.HTTPConnection("probed.gone", 8000, timeout=10)
    try:
        connection.request("GET", "/ip")
        return str(connection.getresponse().status)
    finally:
        connection.close()
def kept():
    stream.sendall(b"still there?")
    return stream.recv(100).decode()
try:
    stream = socket.create_connection(("echo.gone", 7000), 10)
except OSError:
    stream = socket.socket()
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    begin = time.monotonic()
    count("kept", kept)
    count("new", new)
    time.sleep(max(0, begin + 0.1 - time.monotonic()))
print(json.dumps(seen))
"""
_ECHO = """
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(4096):
            self.request.sendall(data)
socketserver.ThreadingTCPServer(("0.0.0.0", 7000), Echo).serve_forever()
"""
_PROBES = {"httpGet": {"path": "/status/200", "port": 80}, "periodSeconds": 2,
           "timeoutSeconds": 5, "failureThreshold": 2}


def pid_of(cluster, node, namespace, app):
    """Of a pod's container, as the machine knows it in that node."""
    pod = cluster.get("pods", "-n", namespace, "-l", f"app={app}")[0]
    container = pod["status"]["containerStatuses"][0]["containerID"]
    tasks = node.run("ctr", "-n", "k8s.io", "task", "ls").stdout
    return re.search(container.rsplit("/", 1)[1] + r"\s+(\d+)", tasks)[1]


def log_lines(node):
    """What its agent has said, connections and probes aside."""
    lines = []
    for path in glob.glob(f"{node.disk}/var/log/pods/{SYSTEM}_nodeward-agent-*"
                          "/*/*.log"):
        with open(path, encoding="utf-8", errors="replace") as file:
            lines += [line for line in file if " stderr " in line
                      and "probe let through" not in line]
    return lines


def probes(node):
    """How many have passed there."""
    text = node.run("curl", "-s", "http://127.0.0.1:15020/metrics").stdout
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith("nodeward_probe_exempted_total"))


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    gone.prepare(mesh)
    mesh.httpbin("gone", "probed", node="node-b", livenessProbe=_PROBES,
                 readinessProbe=_PROBES)
    cluster.apply(
        account("echo", "gone"),
        {"apiVersion": "v1", "kind": "Service",
         "metadata": {"name": "echo", "namespace": "gone"},
         "spec": {"selector": {"app": "echo"}, "ports": [
             {"name": "tcp", "port": 7000}]}},
        deployment("echo", "gone", "localhost/httpbin:1", "node-b",
                   command=["/usr/bin/python3", "-c", _ECHO]))
    for app in ("probed", "echo"):
        cluster.await_pods("gone", f"app={app}")
        mesh.await_state("gone", app, "enrolled")
    url = "http://probed.gone:8000/ip"
    await_that("served", lambda: mesh.outcome("gone", "sleep", url) == "200",
               30, 0.5)
    await_that("plaintext is refused", lambda: mesh.outcome(
        "legacy", "sleep", url) == "refused", 30, 0.5)
    container = pid_of(cluster, cluster.b, "gone", "probed")
    pids = {who: pid_of(cluster, cluster.a, who, "sleep")
            for who in ("gone", "legacy")}

    def client(who):
        done = cluster.a.run_inside(
            "nsenter", "-t", pids[who], "-n", "/usr/bin/python3", "-c",
            _CLIENT, AWAY, timeout=AWAY + 60)
        return json.loads(done.stdout)
    said = {node.name: len(log_lines(node)) for node in (cluster.a, cluster.b)}
    passed = probes(cluster.b)
    cluster.plane.apiserver.kill()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        meshed, legacy = pool.map(client, ("gone", "legacy"))
    s.check("connections that were kept, and new ones",
            [sorted(meshed[what]) for what in ("kept", "new")],
            [["still there?"], ["200"]])
    s.note(f"{meshed['kept']['still there?']} messages on one connection, "
           f"{meshed['new']['200']} new ones")
    s.check("in plaintext", [sorted(legacy[what]) for what in ("kept", "new")],
            [["refused"], ["refused"]])
    passed = probes(cluster.b) - passed
    s.that("probes went on passing", passed > AWAY / 2)
    for node in (cluster.a, cluster.b):
        lines = log_lines(node)[said[node.name]:]
        s.note("".join(lines[:2]))
        s.that(f"the log of {node.name} is not flooded ({len(lines)} lines)",
               1 <= len(lines) <= AWAY / 10)
    back(s, mesh, container)


def back(s, mesh, container):
    """The API server is there again: what changes now counts."""
    cluster = mesh.cluster
    begin = time.monotonic()
    cluster.plane.start_apiserver()
    up = time.monotonic()

    def in_step(node):
        done = mesh.ask(node, "status", "-o", "json")
        return done.stdout.startswith("{") and "Kubernetes API" not in \
            json.dumps(json.loads(done.stdout)["problems"])
    for node in ("node-a", "node-b"):
        await_that(f"the agent of {node} is in step",
                   lambda node=node: in_step(node), 60, 0.5)
    s.note(f"in step {time.monotonic() - up:.1f} s after the API server, which "
           f"took {up - begin:.1f} s")
    await_that("nodes are Ready", cluster.ready_nodes, 120, 0.5)
    mesh.sleep("gone", "late", node="node-b")
    cluster.await_pods("gone", "app=late")
    mesh.await_state("gone", "late", "enrolled")
    s.check("a pod of later, in the mesh", mesh.outcome(
        "gone", "late", "http://httpbin.gone:8000/ip"), "200")
    s.check("no probe has failed", pid_of(
        cluster, cluster.b, "gone", "probed") == container, True)
