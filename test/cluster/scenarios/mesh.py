# SPDX-License-Identifier: Apache-2.0
"""nodeward on the cluster, and the programs that scenarios speak with."""
import json
import os

from harness.process import await_that
from kube import PODS, SERVICES

_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
SYSTEM = "nodeward-system"
URL = "http://httpbin.mtls-test:8000"
# httpbin, which else listens on IPv4 alone.
BOTH_FAMILIES = ["/usr/bin/python3", "-m", "gunicorn",
                 "--worker-tmp-dir=/dev/shm", "-b", "[::]:80", "httpbin:app"]


def account(name, namespace):
    return {"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace}}


def deployment(name, namespace, image="localhost/shell:1", node=None,
               labels=None, pod=None, **container):
    """One replica under an account of its own."""
    spec = {"serviceAccountName": name, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": name, "image": image,
                            "imagePullPolicy": "Never", **container}],
            **(pod or {})}
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {
                         "app": name, **(labels or {})}}, "spec": spec}}}


def peer_authentication(namespace, mode, name="default", app=None):
    spec = {"mtls": {"mode": mode}}
    if app:
        spec["selector"] = {"matchLabels": {"app": app}}
    return {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec}


class Mesh:
    """`cluster` with nodeward, as helm installs it."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.installed = False
        self.chart = os.path.realpath(f"{_ROOT}/daemonset/chart")
        self.crds = os.path.realpath(f"{_ROOT}/daemonset/crds")
        self.settings = [
            "--set", "image.repository=localhost/nodeward", "--set-string",
            "image.tag=1", "--set", "image.pullPolicy=Never",
            "--set", "meshCIDRs={" + ",".join(PODS + SERVICES) + "}"]

    # --- nodeward --------------------------------------------------------------

    def install(self, *more, crds=True):
        """As README tells a user."""
        kubectl = self.cluster.kubectl
        if crds:
            kubectl("apply", "-f", self.crds)
        kubectl("create", "namespace", SYSTEM, check=False)
        kubectl("label", "namespace", SYSTEM, "--overwrite",
                "pod-security.kubernetes.io/enforce=privileged")
        self.cluster.helm("install", "nodeward", self.chart, "-n", SYSTEM,
                          *self.settings, *more, "--wait", "--timeout", "300s",
                          timeout=350)
        self.installed = True

    def ready(self):
        """Installed, by whichever scenario is the first."""
        if not self.installed:
            self.install()

    def uninstall(self):
        self.cluster.helm("uninstall", "nodeward", "-n", SYSTEM, "--wait")
        await_that("its pods are gone", lambda: not self.cluster.get(
            "pods", "-n", SYSTEM), 60, 0.3)
        self.installed = False

    def agent(self, node):
        """The pod's name."""
        for pod in self.cluster.get(
                "pods", "-n", SYSTEM, "-l",
                "app.kubernetes.io/name=nodeward-agent"):
            if pod["spec"]["nodeName"] == node:
                return pod["metadata"]["name"]
        return None

    def ask(self, node, *words):
        """nodeward's own command in the agent of that node."""
        return self.cluster.kubectl("exec", "-n", SYSTEM, self.agent(node),
                                    "--", "/usr/bin/nodeward", *words,
                                    check=False)

    def states(self):
        """{"namespace/pod": state} of all nodes."""
        states = {}
        for node in self.cluster.nodes:
            done = self.ask(node, "status", "-o", "json")
            if done.stdout.startswith("{"):
                for pod in json.loads(done.stdout)["pods"]:
                    states[f"{pod['namespace']}/{pod['name']}"] = pod["state"]
        return states

    def await_state(self, namespace, app, state, deadline=60):
        def there():
            name = self.pod(namespace, app)
            found = self.states().get(f"{namespace}/{name}", "none")
            return found == state or (state is None and found != "enrolled")
        await_that(f"{namespace}/{app} is {state}", there, deadline, 0.5)

    # --- programs --------------------------------------------------------------

    def pod(self, namespace, app):
        pods = self.cluster.get("pods", "-n", namespace, "-l", f"app={app}")
        return pods[0]["metadata"]["name"] if pods else None

    def namespace(self, name, **labels):
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace",
                            "metadata": {"name": name, "labels": {
                                key.replace("_", "-"): value
                                for key, value in labels.items()}}})
        await_that(f"{name} has its account", lambda: self.cluster.kubectl(
            "get", "serviceaccount", "default", "-n", name,
            check=False).returncode == 0, 60, 0.2)

    def label(self, namespace, word):
        """As users write it: nodeward.io/mesh=enabled, nodeward.io/mesh-"""
        self.cluster.kubectl("label", "--overwrite", "namespace", namespace,
                             word)

    def curl(self, namespace, app, url, *words):
        """(HTTP status, curl's exit) of a request by that pod."""
        done = self.cluster.kubectl(
            "exec", "-n", namespace, f"deploy/{app}", "--", "/usr/bin/curl",
            "-s", "-o", "/dev/null", "-m", "10", "-w", "%{http_code}\n", *words,
            url, check=False)
        return done.stdout.strip(), done.returncode

    def body(self, namespace, app, url, *words):
        return self.cluster.kubectl(
            "exec", "-n", namespace, f"deploy/{app}", "--", "/usr/bin/curl",
            "-s", "-m", "10", *words, url, check=False).stdout

    def outcome(self, namespace, app, url, *words):
        """"200", "403"… or "refused"."""
        status, code = self.curl(namespace, app, url, *words)
        if status != "000":
            return status
        return "refused" if code in (7, 52, 55, 56) else f"curl {code}"

    def httpbin(self, namespace, name="httpbin", node=None, **container):
        """The Service and Deployment of Istio's samples."""
        self.cluster.apply(
            account(name, namespace),
            {"apiVersion": "v1", "kind": "Service",
             "metadata": {"name": name, "namespace": namespace,
                          "labels": {"app": name}},
             "spec": {"selector": {"app": name}, "ports": [
                 {"name": "http", "port": 8000, "targetPort": 80}]}},
            deployment(name, namespace, "localhost/httpbin:1", node,
                       ports=[{"containerPort": 80}], **container))

    def sleep(self, namespace, name="sleep", node=None):
        self.cluster.apply(account(name, namespace),
                           deployment(name, namespace, node=node, command=[
                               "/bin/sleep", "infinity"]))
