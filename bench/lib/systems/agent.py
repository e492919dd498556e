# SPDX-License-Identifier: Apache-2.0
"""A nodeward agent on one node, and the manifests that it may read."""
import json
import os

from lib.spiffe import TRUST_DOMAIN
from lib.process import Failure, Process, await_that, run

WORKERS = 2
NAMESPACE = "bench"
OUTSIDE_NAMESPACE = "outside"


class Manifests:
    """A directory of Kubernetes objects, one file an object or a batch. A file
    is written aside and renamed, so that a change is one event."""

    def __init__(self, folder):
        self.folder = folder
        self._aside = folder.parent / f"{folder.name}.new"
        self._aside.mkdir(mode=0o755)
        folder.mkdir(mode=0o755)

    def put(self, file, *objects):
        text = "".join(f"---\n{json.dumps(thing)}\n" for thing in objects)
        self.put_text(file, text)

    def put_text(self, file, text):
        (self._aside / file).write_text(text)
        os.rename(self._aside / file, self.folder / file)

    def remove(self, file):
        (self.folder / file).unlink()

    def source(self):
        """What an agent's configuration says of it."""
        return {"manifests": str(self.folder)}


def namespace(name, enabled):
    labels = {"nodeward.io/mesh": "enabled"} if enabled else {}
    return {"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": labels}}


def strict(name, where, selector=None):
    spec = {"mtls": {"mode": "STRICT"}}
    if selector:
        spec["selector"] = {"matchLabels": selector}
    return {"apiVersion": "security.istio.io/v1",
            "kind": "PeerAuthentication",
            "metadata": {"name": name, "namespace": where}, "spec": spec}


def pod_object(pod, where=NAMESPACE, labels=None, ports=()):
    """The Kubernetes Pod of a topology.Pod; ports: (number, name) pairs."""
    annotations = {"nodeward.io/netns": f"/run/netns/{pod.netns}"}
    return remote_pod(pod.name, f"node-{pod.node.name}", pod.ip, where,
                      labels, ports, annotations)


def remote_pod(name, node, ip, where=NAMESPACE, labels=None, ports=(),
               annotations=None):
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": where,
                     "uid": f"uid-{where}-{name}",
                     "labels": dict(labels or {}, app=name),
                     "annotations": annotations or {}},
        "spec": {"nodeName": node, "serviceAccountName": name,
                 "containers": [{"name": "app", "ports": [
                     {"containerPort": number, "name": port_name}
                     for number, port_name in ports]}]},
        "status": {"phase": "Running", "podIP": ip,
                   "podIPs": [{"ip": ip}],
                   "conditions": [{"type": "Ready", "status": "True"}]}}


class Agent:
    """`nodeward agent` in a node's network namespace; `source` is what it
    follows, a Manifests or an ApiServer."""

    def __init__(self, bench, node, source):
        self.bench = bench
        self.node = node
        self.process = None
        self.folder = bench.workdir / f"agent-{node.name}"
        self.folder.mkdir()
        self.bpf_dir = bench.bpf_mount() / f"node-{node.name}"
        self.cgroup = bench.cgroups.of(f"node-{node.name}")
        self._config = self.folder / "config.yaml"
        self._config.write_text(json.dumps({
            "node": f"node-{node.name}",
            "trustDomain": TRUST_DOMAIN,
            "source": source.source(),
            "ca": {"embedded": str(bench.workdir / "nodeward-ca")},
            "runDir": str(self.folder / "run"),
            "bpfDir": str(self.bpf_dir),
            "cgroup": str(self.cgroup),
            "workers": WORKERS,
            "log": {"level": "warn", "format": "text"}}, indent=1) + "\n")

    def start(self):
        self.process = Process(
            [self.bench.nodeward, "agent", "--config", self._config],
            self.folder / "agent.log", netns=self.node.netns)

    def await_ready(self, limit=60):
        def ready():
            self.process.check()
            return run("curl", "-sf", "http://127.0.0.1:15021/healthz/ready",
                       "-o", "/dev/null", "-w", "%{http_code}",
                       netns=self.node.netns, check=False) == "200"
        await_that(f"the agent of node {self.node.name} ready", ready,
                   limit=limit, pause=0.02)

    def stop(self):
        """Ends the agent; its hooks stay, as after any restart. They go with
        their namespaces and with the BPF file system of the run; `nodeward
        uninstall` would clear all namespaces of the machine, and those of
        another run or of the demo are none of ours."""
        if self.process:
            self.process.stop(grace=10)
            self.process = None

    def status(self, *words):
        return run(self.bench.nodeward, "status", "--run-dir",
                   self.folder / "run", *words, netns=self.node.netns,
                   check=False)

    def await_enrolled(self, names, limit=60):
        """Waits until `status` reports every one of the pods enrolled."""
        text = ""

        def enrolled():
            nonlocal text
            self.process.check()
            text = self.status("-n", NAMESPACE, "-o", "json")
            try:
                pods = _states(json.loads(text))
            except ValueError:
                return False
            return all(pods.get(name) == "enrolled" for name in names)

        try:
            await_that("enrolment", enrolled, limit=limit, pause=0.05)
        except Failure as late:
            raise Failure(f"nodeward on node {self.node.name} has not "
                          f"enrolled {', '.join(names[:3])} …: {text[:600]} "
                          f"{self.process.tail()}") from late


def _states(status):
    """Pod name → state, from the JSON of `nodeward status`."""
    pods = status.get("pods", []) if isinstance(status, dict) else status
    return {pod.get("name", "").rpartition("/")[2]:
            str(pod.get("state", "")).lower() for pod in pods}
