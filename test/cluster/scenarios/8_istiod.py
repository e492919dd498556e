# SPDX-License-Identifier: Apache-2.0
"""A stock istiod, installed by Istio's own charts, is the CA."""
import importlib
import json
import os
import shutil
import subprocess

from harness.process import await_that, run
from kube.images import write_image
from mesh import SYSTEM, URL, account, deployment, peer_authentication

ONLY_WITH_ALL = True
matrix = importlib.import_module("1_matrix")
HERE = os.path.dirname(os.path.abspath(__file__))
ISTIO = "istio-system"
SERVER = "istiod.istio-system.svc"
# As README tells a user.
TRUSTED = ("--set", f"trustedZtunnelNamespace={SYSTEM}", "--set",
           "trustedZtunnelName=nodeward-agent")
BESIDE_ZTUNNEL = (
    "--set-string", "env.CA_TRUSTED_NODE_ACCOUNTS="
    rf"istio-system/ztunnel\,{SYSTEM}/nodeward-agent")
WITH_ISTIOD = ("--set", "ca.enabled=false", "--set",
               f"ca.address={SERVER}:15012", "--set", "ca.audience=istio-ca",
               "--set", "ca.rootsConfigMap=istio-ca-root-cert")
# On a node: ADDRESS, ROOTS and what ask() takes as JSON.
ASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ca_client import CaClient
asked = json.load(sys.stdin)
client = CaClient(asked["address"], asked["roots"], name=asked["name"])
print(json.dumps(client.ask(asked["csr"], asked["token"], asked["identity"],
                            cluster=asked["cluster"])))
"""


def scenario(s, mesh):
    cluster = mesh.cluster
    said = cluster.helm("template", mesh.chart, "--set", "ca.enabled=false",
                        "--kube-version", "1.34", check=False)
    s.that("another CA needs an address", said.returncode != 0
           and "needs ca.address" in said.stderr)
    if mesh.installed:
        mesh.uninstall()
    # Istio has these kinds itself.
    cluster.kubectl("delete", "--ignore-not-found", "-f", mesh.crds)
    istiod = Istiod(cluster)
    try:
        istiod.install()
        roots = roots_for_agents(s, cluster)
        mesh.install(*WITH_ISTIOD, "--set", "ca.lifetime=2m", crds=False)
        # Policies are written past istiod's webhook that validates them.
        matrix.scenario(s, mesh)
        chain(s, mesh, roots)
        not_for_others(s, mesh, roots)
        away(s, mesh, istiod)
        not_trusted(s, mesh, istiod)
    finally:
        if mesh.installed:
            mesh.uninstall()
        istiod.uninstall()


class Istiod:
    """By Istio's charts, on node-b."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._made = subprocess.run(
            [f"{HERE}/../build", "--istiod"], check=True, text=True,
            stdout=subprocess.PIPE).stdout.strip()
        self._charts = f"{self._made}/charts"
        self._chart = f"{self._charts}/istio-control/istio-discovery"
        self._settings = (
            "--set", "global.hub=localhost,global.tag=1", "--set",
            "global.imagePullPolicy=Never,autoscaleEnabled=false", "--set",
            r"nodeSelector.kubernetes\.io/hostname=node-b")

    def install(self):
        root = f"{self._cluster.folder}/pilot"
        os.makedirs(f"{root}/usr/local/bin")
        shutil.copy2(f"{self._made}/pilot-discovery", f"{root}/usr/local/bin")
        write_image(f"{root}.tar", "localhost/pilot:1", root,
                    ["/usr/local/bin/pilot-discovery"], user="1337:1337")
        shutil.rmtree(root)
        self._cluster.b.import_images([f"{root}.tar"])
        os.remove(f"{root}.tar")
        self._helm("install", "istio-base", f"{self._charts}/base",
                   "--create-namespace")
        self._helm("install", "istiod", self._chart, *self._settings, *TRUSTED)

    def _helm(self, *words):
        self._cluster.helm(*words, "-n", ISTIO, "--wait", "--timeout", "300s",
                           timeout=350)

    def trust(self, *settings):
        """Another setting of whom it trusts: a new pod."""
        self._helm("upgrade", "istiod", self._chart, *self._settings,
                   *settings)
        self._cluster.await_pods(ISTIO, "app=istiod")

    def scale(self, replicas):
        self._cluster.kubectl("-n", ISTIO, "scale", "deployment/istiod",
                              f"--replicas={replicas}")
        if replicas:
            self._cluster.await_pods(ISTIO, "app=istiod", replicas)
            return
        await_that("istiod is gone", lambda: not self._cluster.get(
            "pods", "-n", ISTIO, "-l", "app=istiod"), 60, 0.3)

    def uninstall(self):
        for name in ("istiod", "istio-base"):
            self._cluster.helm("uninstall", name, "-n", ISTIO, "--wait",
                               check=False)
        self._cluster.kubectl("delete", "namespace", ISTIO,
                              "--ignore-not-found")
        self._cluster.kubectl("delete", "--ignore-not-found", "-f",
                              f"{self._charts}/base/files/crd-all.gen.yaml")
        # It leaves them in every namespace.
        self._cluster.kubectl("delete", "configmaps", "-A", "-l",
                              "istio.io/config=true")


def roots_for_agents(s, cluster):
    """istiod writes them into every namespace, agents' or not."""
    cluster.kubectl("create", "namespace", SYSTEM, check=False)

    def there():
        return cluster.kubectl(
            "get", "configmap", "istio-ca-root-cert", "-n", SYSTEM, "-o",
            r"jsonpath={.data.root-cert\.pem}", check=False).stdout
    roots = await_that("istiod's roots are there", there, 60, 0.3)
    s.check("istiod's roots in the agents' namespace",
            roots.count("BEGIN CERTIFICATE"), 1)
    return roots


def certificate(mesh, node, identity):
    """What the agent there says of its certificate."""
    for one in json.loads(mesh.ask(node, "certs", "-o", "json").stdout):
        if one["identity"].endswith(identity):
            return one
    return {}


def chain(s, mesh, roots):
    """Issued by istiod, in the name of the pod's ServiceAccount."""
    shown = mesh.ask("node-a", "certs", "show", "full/sleep").stdout
    folder = mesh.cluster.folder
    for name, text in (("istio-roots", roots), ("istio-shown", shown)):
        with open(f"{folder}/{name}.pem", "w", encoding="ascii") as file:
            file.write(text)
    s.check("openssl verifies it against istiod's root", run(
        "openssl", "verify", "-CAfile", f"{folder}/istio-roots.pem",
        "-untrusted", f"{folder}/istio-shown.pem",
        f"{folder}/istio-shown.pem", check=False).returncode, 0)
    said = run("openssl", "x509", "-in", f"{folder}/istio-shown.pem", "-noout",
               "-issuer", "-ext", "subjectAltName").stdout
    s.that("istiod signed it", "O = cluster.local" in said)
    s.check("its only name", said.split("URI:")[1:],
            ["spiffe://cluster.local/ns/full/sa/sleep\n"])
    done = mesh.ask("node-a", "check")
    s.check("nodeward check", (done.returncode, "match CA" in done.stdout),
            (0, True))
    if done.returncode:
        s.note(done.stdout)


def not_for_others(s, mesh, roots):
    """Who has taken an agent's token off node-a."""
    cluster = mesh.cluster
    agent = cluster.get("pod", mesh.agent("node-a"), "-n", SYSTEM)[0]
    token = cluster.a.run(
        "cat", f"/var/lib/kubelet/pods/{agent['metadata']['uid']}/volumes/"
        "kubernetes.io~projected/ca-token/token").stdout
    address = cluster.get("service", "istiod", "-n", ISTIO
                          )[0]["spec"]["clusterIP"]
    folder = cluster.folder
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/", "-keyout",
        f"{folder}/other.key", "-out", f"{folder}/other.csr")
    with open(f"{folder}/other.csr", encoding="ascii") as file:
        csr = file.read()

    def ask(name, shown=token, named="Kubernetes"):
        asked = {"address": f"{address}:15012", "roots": roots, "csr": csr,
                 "name": SERVER, "token": shown, "cluster": named,
                 "identity": f"spiffe://cluster.local/ns/{name}"}
        return json.loads(cluster.a.run(
            "/usr/bin/python3", "-c", ASK, f"{HERE}/../../peers",
            stdin=json.dumps(asked)).stdout)
    refused = ["UNAUTHENTICATED",
               "request impersonation authentication failure"]
    s.check("an agent's token, for a pod of its node",
            ask("full/sa/sleep")[0], "OK")
    s.check("for one of another node", ask("mtls-test/sa/httpbin"), refused)
    s.check("for nobody's", ask("full/sa/nobody"), refused)
    s.check("without a cluster's name", ask("full/sa/sleep", named=None),
            refused)
    own = cluster.kubectl(
        "create", "token", "sleep", "-n", "full", "--audience=istio-ca",
        "--bound-object-kind=Pod",
        f"--bound-object-name={mesh.pod('full', 'sleep')}").stdout.strip()
    s.check("a pod's own token, for a neighbour",
            ask("legacy/sa/sleep", own), refused)


def strict(mesh):
    return [mesh.outcome(one, "sleep", f"{URL}/ip")
            for one in ("full", "legacy")]


def away(s, mesh, istiod):
    """Without istiod nothing changes, but that nobody new gets in."""
    expected = ["200", "refused"]
    mesh.cluster.apply(peer_authentication("mtls-test", "STRICT"))
    await_that("STRICT", lambda: strict(mesh) == expected, 30, 0.5)
    istiod.scale(0)
    s.check("while istiod is away", strict(mesh), expected)
    newcomer(mesh, "late")
    s.check("one that has no certificate yet", mesh.outcome(
        "full", "late", f"{URL}/ip") == "200", False)

    def own():
        return certificate(mesh, "node-a", "ns/full/sa/sleep")
    before = await_that("a renewal fails", lambda: own().get("error") and own(),
                        120, 0.5)
    s.check("while renewals fail", strict(mesh), expected)
    istiod.scale(1)
    # The longest pause between two attempts is 150 s.
    await_that("certificates are renewed", lambda: own().get("serial") not in (
        None, "", before["serial"]), 240, 0.5)
    s.that("certificates are renewed when it is back", True)
    s.check("traffic after that", strict(mesh), expected)
    await_that("the newcomer is served", lambda: mesh.outcome(
        "full", "late", f"{URL}/ip") == "200", 60, 0.5)
    s.that("the newcomer is served", True)


def newcomer(mesh, name):
    mesh.cluster.apply(account(name, "full"), deployment(
        name, "full", node="node-a", command=["/bin/sleep", "infinity"]))
    mesh.cluster.await_pods("full", f"app={name}")


def not_trusted(s, mesh, istiod):
    """istiod as it is by itself: only ztunnel may ask for others."""
    istiod.trust()
    newcomer(mesh, "unknown")

    def why():
        return certificate(mesh, "node-a", "ns/full/sa/unknown").get("error")
    await_that("the agent says what istiod lacks",
               lambda: "CA_TRUSTED_NODE_ACCOUNTS" in (why() or ""), 60, 0.5)
    s.note(why())
    s.that("the agent says what istiod lacks", True)
    s.check("it is not served", mesh.outcome(
        "full", "unknown", f"{URL}/ip") == "200", False)
    istiod.trust(*BESIDE_ZTUNNEL)
    await_that("it is, once istiod trusts the agents", lambda: mesh.outcome(
        "full", "unknown", f"{URL}/ip") == "200", 60, 0.5)
    s.that("it is, once istiod trusts the agents", True)
    s.check("and plaintext is refused", strict(mesh), ["200", "refused"])
