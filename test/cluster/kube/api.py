# SPDX-License-Identifier: Apache-2.0
"""A client of the Kubernetes API, of what tests need."""
import contextlib
import http.client
import json
import ssl

from harness.entering import entered


class Refused(Exception):
    """The API server's answer was an error; `code` is its HTTP status."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


_PLURALS = {"Namespace": "namespaces", "Node": "nodes", "Pod": "pods",
            "ServiceAccount": "serviceaccounts", "Secret": "secrets",
            "ClusterRole": "clusterroles",
            "ClusterRoleBinding": "clusterrolebindings"}


class Api:
    """Requests as one user, by a client certificate; `netns`: the network
    namespace that the server is reached from."""

    def __init__(self, address, roots, certificate, key, netns=None):
        self._host, self._port = address.rsplit(":", 1)
        self._netns = netns
        self._context = ssl.create_default_context(cafile=roots)
        self._context.load_cert_chain(certificate, key)

    def connect(self):
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context, timeout=30)
        connection.connect()
        return connection

    def ask(self, method, path, body=None,
            kind="application/json", timeout=30):
        """(status, text), whatever they are."""
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context, timeout=timeout)
        try:
            with entered(self._netns) if self._netns \
                    else contextlib.nullcontext():
                connection.connect()
            connection.request(method, path, body and json.dumps(body),
                               {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def call(self, method, path, body=None, kind="application/json"):
        """The object of the answer; Refused."""
        status, text = self.ask(method, path, body, kind)
        made = json.loads(text)
        if status >= 300:
            raise Refused(status, made.get("message", text))
        return made

    def path_of(self, made):
        group = made["apiVersion"]
        meta = made["metadata"]
        inside = f"/namespaces/{meta['namespace']}" \
            if "namespace" in meta else ""
        return (f"/{'apis' if '/' in group else 'api'}/{group}{inside}/"
                + _PLURALS[made["kind"]])

    def create(self, made):
        """The object as the server has it. A `status` is put in too."""
        got = self.call("POST", self.path_of(made), made)
        if "status" in made:
            got = self.call("PATCH", f"{self.path_of(made)}/"
                            f"{made['metadata']['name']}/status",
                            {"status": made["status"]},
                            "application/merge-patch+json")
        return got

    def patch(self, made, change):
        return self.call("PATCH", f"{self.path_of(made)}/"
                         f"{made['metadata']['name']}", change,
                         "application/merge-patch+json")

    def delete(self, made):
        """At once, as when its kubelet says that a pod is gone."""
        self.call("DELETE", f"{self.path_of(made)}/{made['metadata']['name']}",
                  {"gracePeriodSeconds": 0})

    def bind(self, pod, node):
        """What a scheduler does."""
        meta = pod["metadata"]
        self.call("POST", f"/api/v1/namespaces/{meta['namespace']}/pods/"
                  f"{meta['name']}/binding",
                  {"apiVersion": "v1", "kind": "Binding",
                   "metadata": {"name": meta["name"]},
                   "target": {"apiVersion": "v1", "kind": "Node",
                              "name": node}})

    def token(self, namespace, account, audiences=(), pod=None, seconds=3600):
        """A projected token, as a kubelet asks for it (TokenRequest)."""
        spec = {"audiences": list(audiences), "expirationSeconds": seconds}
        if pod:
            spec["boundObjectRef"] = {
                "kind": "Pod", "apiVersion": "v1",
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"]}
        return self.call(
            "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/"
            f"{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
             "spec": spec})["status"]["token"]
