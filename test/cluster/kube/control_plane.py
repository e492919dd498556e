# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver, with certificates of their own."""
import ctypes
import json
import os
import subprocess

from harness.process import Process, await_that, run

from .api import Api

_CLONE_NEWNET = 0x40000000
_HERE = os.path.dirname(os.path.abspath(__file__))


def own_network(address):
    """Moves this program into a network namespace that nobody else is in and
    that goes with it, with `address` besides loopback: ports are free there.
    Before any thread is started."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare the network")
    run("ip", "link", "set", "lo", "up")
    # The API server refuses to be known by a loopback address.
    run("ip", "address", "add", f"{address}/32", "dev", "lo")


def programs():
    """The folder of what test/cluster/build builds."""
    return subprocess.run([f"{_HERE}/../build"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


class ControlPlane:
    """An API server on https://ADDRESS:6443. `enter`: the words by which a
    program is started where that address is; `netns`: the network it is in;
    `services`: their ranges; `address6`: it is there as well."""

    def __init__(self, folder, address, enter=(), netns=None,
                 services=("10.96.0.0/16",), address6=None):
        self.folder, self.address, self._enter = folder, address, list(enter)
        self._address6 = address6
        os.makedirs(folder, exist_ok=True)
        self.server = f"https://{address}:6443"
        self._services = services
        self.roots = f"{folder}/ca.crt"
        # Signs tokens of ServiceAccounts.
        self.token_key = f"{folder}/accounts.key"
        self._programs = programs()
        self._make_certificates()
        self.etcd = self.apiserver = None
        self._audited = []
        self.admin = Api(f"{address}:6443", self.roots,
                         *self.client("admin", "system:masters"), netns)
        self._controllers = []

    def start(self):
        self.etcd = self._start(
            "etcd", f"{self._programs}/etcd", "--data-dir",
            f"{self.folder}/etcd",
            "--unsafe-no-fsync", "--listen-client-urls",
            "http://127.0.0.1:2379", "--advertise-client-urls",
            "http://127.0.0.1:2379", "--listen-peer-urls",
            "http://127.0.0.1:2380")
        self.start_apiserver()

    def start_apiserver(self):
        own = f"{self.folder}/apiserver"
        self.apiserver = self._start(
            "kube-apiserver", f"{self._programs}/kube-apiserver",
            f"--bind-address={'::' if self._address6 else self.address}",
            f"--advertise-address={self.address}",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--client-ca-file={self.roots}", f"--tls-cert-file={own}.crt",
            f"--tls-private-key-file={own}.key",
            "--service-account-issuer=https://kubernetes.default.svc."
            "cluster.local",
            f"--service-account-key-file={self.token_key}",
            f"--service-account-signing-key-file={self.token_key}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-cluster-ip-range=" + ",".join(self._services),
            "--allow-privileged=true",
            f"--kubelet-client-certificate={self.folder}/admin.crt",
            f"--kubelet-client-key={self.folder}/admin.key",
            f"--kubelet-certificate-authority={self.roots}",
            # exec and logs; else they ask DNS for a node's name.
            "--kubelet-preferred-address-types=InternalIP", *self._audited)

        def ready():
            if not self.apiserver.running() or not self.etcd.running():
                raise RuntimeError("the control plane has ended:\n"
                                   + self.logs())
            try:
                return self.admin.ask("GET", "/readyz", timeout=5)[0] == 200
            except OSError:
                return False
        try:
            await_that("the API server is ready", ready, 180, 0.1)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.logs()}") from None

    def audit(self, user):
        """Before start(): what that user asks for is noted."""
        policy = f"{self.folder}/audit.json"
        with open(policy, "w", encoding="ascii") as file:
            json.dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
                       "omitStages": ["RequestReceived"], "rules": [
                           {"level": "Metadata", "users": [user]},
                           {"level": "None"}]}, file)
        self._audited = [f"--audit-policy-file={policy}",
                         f"--audit-log-path={self.folder}/audit.jsonl"]

    def asked(self):
        """(verb, URI, status) of each request so far of the audited user; of
        a watch once when it begins and once when it ends."""
        with open(f"{self.folder}/audit.jsonl", encoding="utf-8") as file:
            events = [json.loads(line) for line in file if line[-1] == "\n"]
        return [(event["verb"], event["requestURI"],
                 event.get("responseStatus", {}).get("code"))
                for event in events]

    def start_controllers(self):
        """The controller manager and the scheduler."""
        name = "kube-controller-manager"
        config = self.kubeconfig(name, user=f"system:{name}")
        self._controllers.append(self._start(
            name, f"{self._programs}/{name}", f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            f"--service-account-private-key-file={self.token_key}",
            f"--root-ca-file={self.roots}",
            f"--cluster-signing-cert-file={self.roots}",
            f"--cluster-signing-key-file={self.folder}/ca.key",
            "--use-service-account-credentials=true", "--leader-elect=false"))
        name = "kube-scheduler"
        config = self.kubeconfig(name, user=f"system:{name}")
        self._controllers.append(self._start(
            name, f"{self._programs}/{name}", f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}", "--leader-elect=false"))

    def kubeconfig(self, name, user=None, organization=""):
        """A file for the user of that name; made if need be."""
        certificate, key = self.client(name, organization, user)
        path = f"{self.folder}/{name}.kubeconfig"
        with open(path, "w", encoding="ascii") as file:
            json.dump({
                "apiVersion": "v1", "kind": "Config",
                "clusters": [{"name": "c", "cluster": {
                    "server": self.server,
                    "certificate-authority": self.roots}}],
                "users": [{"name": "u", "user": {
                    "client-certificate": certificate, "client-key": key}}],
                "contexts": [{"name": "c", "context": {
                    "cluster": "c", "user": "u"}}],
                "current-context": "c"}, file)
        return path

    def logs(self):
        return "".join(f"--- {one.log_path}\n{one.output()[-3000:]}\n"
                       for one in (self.etcd, self.apiserver,
                                   *self._controllers) if one)

    def stop(self):
        for process in (*self._controllers, self.apiserver, self.etcd):
            if process:
                process.kill()

    def client(self, name, organization="", user=None):
        """(certificate, key): files, of `user`, or of the user `name`."""
        if not os.path.exists(f"{self.folder}/{name}.crt"):
            self._certify(name, f"/O={organization}/CN={user or name}",
                          "clientAuth")
        return f"{self.folder}/{name}.crt", f"{self.folder}/{name}.key"

    def _start(self, name, *words):
        return Process(self._enter + list(words), f"{self.folder}/{name}.log")

    def _make_certificates(self):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=kubernetes", "-keyout", f"{self.folder}/ca.key", "-out",
            self.roots)
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc",
                 "kubernetes.default.svc.cluster.local"]
        addresses = ["10.96.0.1", self.address]
        if self._address6:
            addresses.append(self._address6)
        self._certify("apiserver", "/CN=kube-apiserver", "serverAuth",
                      ",".join([f"DNS:{name}" for name in names]
                               + [f"IP:{address}" for address in addresses]))
        run("openssl", "genrsa", "-out", self.token_key, "2048")

    def certify_server(self, name, names):
        """A serving certificate: NAME.crt, NAME.key in the folder."""
        self._certify(name, f"/CN={name}", "serverAuth", names)

    def _certify(self, name, subject, usage, names=None):
        path = f"{self.folder}/{name}"
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-subj", subject, "-keyout",
            f"{path}.key", "-out", f"{path}.csr")
        with open(f"{path}.ext", "w", encoding="ascii") as file:
            file.write(f"extendedKeyUsage={usage}\n")
            if names:
                file.write(f"subjectAltName={names}\n")
        run("openssl", "x509", "-req", "-in", f"{path}.csr", "-CA", self.roots,
            "-CAkey", f"{self.folder}/ca.key", "-set_serial",
            "0x" + os.urandom(8).hex(), "-days", "2", "-extfile",
            f"{path}.ext", "-out", f"{path}.crt")
