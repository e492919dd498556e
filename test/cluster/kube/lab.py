# SPDX-License-Identifier: Apache-2.0
"""The nodes and pods of the harness with a real API server: it runs on node-a,
pods are objects in it, and a stand-in for each node's container runtime tells
their network namespaces."""
import json
import os

from harness import Process, await_that, entered

from .api import Api
from .control_plane import ControlPlane

SYSTEM, AGENT = "nodeward-system", "nodeward-agent"
_HERE = os.path.dirname(os.path.abspath(__file__))
_GROUP = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_RULES = [
    {"apiGroups": [""], "resources": ["namespaces", "pods", "services"],
     "verbs": _READ},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"],
     "verbs": _READ},
    {"apiGroups": ["security.istio.io"], "verbs": _READ,
     "resources": ["peerauthentications", "authorizationpolicies"]},
    {"apiGroups": ["networking.istio.io"], "verbs": _READ,
     "resources": ["destinationrules", "serviceentries"]},
    {"apiGroups": ["networking.k8s.io"], "verbs": _READ,
     "resources": ["networkpolicies"]},
    {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
    {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": _READ}]


def of(kind, name, ns=None, version="v1", **fields):
    meta = {"name": name} | ({"namespace": ns} if ns else {})
    return {"apiVersion": version, "kind": kind, "metadata": meta} | fields


class _ApiOnNode(Api):
    """Requests from inside of a node."""

    def __init__(self, netns, *arguments):
        super().__init__(*arguments)
        self._netns = netns

    def ask(self, *arguments, **options):
        with entered(self._netns):
            return super().ask(*arguments, **options)


class Lab:
    """`cluster` is the harness's, its agents not started."""

    def __init__(self, cluster):
        self.cluster = cluster
        node = cluster.nodes["node-a"]
        self.plane = ControlPlane(f"{cluster.folder}/plane", node.wire4,
                                  node.enter())
        self.api = self.plane.admin = _ApiOnNode(
            node.netns, f"{node.wire4}:6443", self.plane.roots,
            *self.plane.client("admin", "system:masters"))
        self._accounts, self._namespaces = set(), set()
        self.runtimes = {}

    def start(self):
        self.plane.audit(f"system:serviceaccount:{SYSTEM}:{AGENT}")
        self.plane.start()
        self.namespace(SYSTEM)
        self.account(SYSTEM, AGENT)
        self.api.create(of("ClusterRole", AGENT, None, f"{_GROUP}/v1",
                           rules=_RULES))
        self.api.create(of(
            "ClusterRoleBinding", AGENT, None, f"{_GROUP}/v1",
            subjects=[{"kind": "ServiceAccount", "name": AGENT,
                       "namespace": SYSTEM}],
            roleRef={"apiGroup": _GROUP, "kind": "ClusterRole",
                     "name": AGENT}))
        for name, node in self.cluster.nodes.items():
            self.api.create(of("Node", name))
            self.start_runtime(name)
            self.renew_token(name)
            node.agent.config |= {
                "source": {"kind": "kubernetes", "kubernetes": {
                    "api": self.plane.server, "ca": self.plane.roots,
                    "token": f"{node.folder}/token"},
                    "cri": f"unix://{node.folder}/cri.sock"},
                "log": {"level": "info", "format": "text"}}

    def start_runtime(self, name):
        node = self.cluster.nodes[name]
        self._write_sandboxes(node)
        runtime = Process(["/usr/bin/python3", f"{_HERE}/runtime.py",
                           f"{node.folder}/cri.sock",
                           f"{node.folder}/sandboxes.json"],
                          f"{node.folder}/cri.log")
        await_that("the runtime listens",
                   lambda: "listening" in runtime.output())
        self.runtimes[name] = runtime

    def renew_token(self, name, seconds=3600):
        path = f"{self.cluster.nodes[name].folder}/token"
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(self.api.token(SYSTEM, AGENT, seconds=seconds))
        os.rename(path + ".new", path)

    def stop(self):
        for process in self.runtimes.values():
            process.kill()
        self.plane.stop()

    # --- objects -------------------------------------------------------------

    def namespace(self, name, labels=None):
        if name in self._namespaces:
            return
        self._namespaces.add(name)
        made = of("Namespace", name)
        made["metadata"]["labels"] = labels or {}
        self.api.create(made)

    def label(self, namespace, **labels):
        """None takes a label off; "_" stands for "nodeward.io/mesh"."""
        self.api.patch(of("Namespace", namespace), {"metadata": {"labels": {
            {"_": "nodeward.io/mesh"}.get(key, key): value
            for key, value in labels.items()}}})

    def account(self, namespace, name):
        if (namespace, name) not in self._accounts:
            self._accounts.add((namespace, name))
            self.api.create(of("ServiceAccount", name, namespace))

    def object_of(self, full_name, node, ips, labels=None, annotations=None,
                  ports=None, account=None):
        namespace, name = full_name.split("/")
        self.account(namespace, account or name)
        made = of("Pod", name, namespace, spec={
            "serviceAccountName": account or name, "nodeName": node,
            "containers": [{
                "name": "app", "image": "example.org/app:1",
                "ports": [{"name": key, "containerPort": port}
                          for key, port in (ports or {}).items()]}]})
        made["metadata"]["labels"] = {"app": name, **(labels or {})}
        made["metadata"]["annotations"] = annotations or {}
        made["status"] = {
            "phase": "Running", "podIP": ips[0],
            "podIPs": [{"ip": ip} for ip in ips],
            "conditions": [{"type": "Ready", "status": "True"}]}
        return made

    def pod(self, full_name, node, sandbox=True, **options):
        """A pod of the harness with its object and sandbox."""
        pod = self.cluster.pod(full_name, node, publish=False)
        pod.object = self.api.create(self.object_of(
            full_name, node, [pod.ip4, pod.ip6], **options))
        pod.uid = pod.object["metadata"]["uid"]
        pod.told = sandbox
        self.tell_sandboxes(node)
        return pod

    def create_all(self, pods):
        """Many, with their status, over one connection."""
        connection = None
        with entered(self.cluster.nodes["node-a"].netns):
            connection = self.api.connect()
        for made in pods:
            path = self.api.path_of(made)
            name = made["metadata"]["name"]
            for method, where, body, kind in (
                    ("POST", path, made, "application/json"),
                    ("PATCH", f"{path}/{name}/status",
                     {"status": made["status"]},
                     "application/merge-patch+json")):
                connection.request(method, where, json.dumps(body),
                                   {"Content-Type": kind})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status >= 300:
                    raise RuntimeError(f"{where}: {text}")
        connection.close()

    def delete(self, pod):
        self.api.delete(pod.object)
        self.cluster.pods.pop(pod.full_name)
        self.tell_sandboxes(pod.node.name)
        pod.end()

    def tell_sandboxes(self, node, **changes):
        """`changes`: UID -> what its sandbox is said to be instead."""
        self._write_sandboxes(self.cluster.nodes[node], changes)

    def _write_sandboxes(self, node, changes=None):
        all_of_them = {pod.uid: {"netns": f"/run/netns/{pod.netns}",
                                 "ips": [pod.ip4, pod.ip6]}
                       for pod in self.cluster.pods.values()
                       if pod.node is node and pod.told}
        path = f"{node.folder}/sandboxes.json"
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(all_of_them | (changes or {}), file)
        os.rename(path + ".new", path)

    def annotations(self, pod):
        return self.api.call(
            "GET", f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
        )["metadata"].get("annotations", {})

    def crd(self, kind, group, plural):
        self.api.call(
            "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            {"apiVersion": "apiextensions.k8s.io/v1",
             "kind": "CustomResourceDefinition",
             "metadata": {"name": f"{plural}.{group}"},
             "spec": {"group": group, "scope": "Namespaced",
                      "names": {"kind": kind, "plural": plural,
                                "singular": kind.lower()},
                      "versions": [{
                          "name": "v1", "served": True, "storage": True,
                          "schema": {"openAPIV3Schema": {
                              "type": "object",
                              "x-kubernetes-preserve-unknown-fields": True}}
                      }]}})
