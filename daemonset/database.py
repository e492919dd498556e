# SPDX-License-Identifier: Apache-2.0
"""A database outside of the mesh that wants client certificates: the MongoDB
part of the Istio document. Debian has no server of MongoDB's protocol, so Redis
plays it, on MongoDB's port; test/cluster/mongodb.py has a real one."""

from harness import await_that
from harness.mongo_certificates import MongoCertificates

CERTIFICATES = """\
openssl req -out ca.pem -new -x509 -days 3650 -subj "/C=CN/CN=root/…"
openssl x509 -req -in server.req -CAkey privkey.pem -CA ca.pem -days 36500 …
cat server.key server.crt > server.pem        # the same for the client
# ours: -passout pass:… and -passin pass:…, so that nobody is asked"""
RULE = """\
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: db-mtls
  namespace: mtls-test
spec:
  host: mongo.mongo.svc.cluster.local
  trafficPolicy:
    tls:
      mode: MUTUAL
      clientCertificate: /pem/client.pem
      privateKey: /pem/client.key
      caCertificates: /pem/ca.pem
"""
VOLUME = '[{"name":"client-ssl", "configMap":{"name":"mongo-client-pem"}}]'
MOUNT = '[{"name":"client-ssl", "mountPath":"/pem"}]'


class Database:
    """`run` is the section; `markers` gets what must not be read on the
    wire."""

    def __init__(self, stage, terminal, markers):
        self.stage, self.terminal, self.markers = stage, terminal, markers
        self.cluster = stage.cluster
        self.step = terminal.step
        self.right = MongoCertificates(f"{self.cluster.folder}/pem")
        self.other = MongoCertificates(f"{self.cluster.folder}/other-pem")

    def run(self):
        self.terminal.section("a database outside of the mesh that wants "
                              "client certificates")
        self.terminal.note("Redis in the place of MongoDB, which Debian has "
                           "not; the commands are redis-cli's")
        self.terminal.show(CERTIFICATES)
        self._certificates()
        self._start()
        self._keys_of_its_own()
        self._in_the_mesh()
        self._what_is_wrong()

    # --- tools -----------------------------------------------------------------

    def _ask(self, pod, host, *words, tls=()):
        """What redis-cli says in one line: the answer or the error."""
        done = pod.run("redis-cli", "-h", host, "-p", "27017", *tls, *words,
                       check=False)
        said = (done.stdout + done.stderr).strip().splitlines() or [""]
        return said[0] if done.returncode == 0 else f"refused: {said[0]}"

    def _refused(self, what, ask):
        """The first refusal; a change may take a moment to be in force."""
        try:
            seen = await_that(what, lambda: (
                lambda said: said if said.startswith("refused") else None)(
                    ask()), 10)
        except TimeoutError:
            seen = ask()
        refused = seen.startswith("refused")
        self.step(what, seen if refused else "refused", seen)

    def _from_the_mesh(self, *words):
        return self._ask(self.stage.mongo_client, "mongo.mongo",
                         *(words or ("ping",)))

    def _give(self, **files):
        """The ConfigMap with the client's files, some of them replaced."""
        names = {"client_pem": "client.pem", "client_key": "client.key",
                 "ca_pem": "ca.pem"}
        content = {"client.pem": self.right.read("client.pem"),
                   "ca.pem": self.right.read("ca.pem")}
        content.update({names[key]: text for key, text in files.items()})
        self.cluster.apply("mongo-pem.yaml", *({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "mongo-client-pem", "namespace": namespace},
            "data": content} for namespace in ("mongo", "mtls-test")))

    # --- the section -------------------------------------------------------------

    def _certificates(self):
        told = self.stage.legacy.run("openssl", "x509", "-noout", "-text", "-in",
                                     self.right.path("server.crt")).stdout
        self.step("the server's certificate", "X.509 v1, without names",
                  "X.509 v1, without names" if "Version: 1 (0x0)" in told
                  and "Alternative" not in told else told)
        for name in ("server.pem", "client.pem"):
            done = self.stage.legacy.run(
                "openssl", "verify", "-CAfile", self.right.path("ca.pem"),
                self.right.path(name), check=False)
            self.step(f"openssl verify -CAfile ca.pem {name}", "OK",
                      (done.stdout + done.stderr).split()[-1])

    def _start(self):
        pem = self.right.path("server.pem")
        server = self.stage.mongo.spawn(
            "redis-server", "--port", "0", "--tls-port", "27017",
            "--tls-cert-file", pem, "--tls-key-file", pem,
            "--tls-ca-cert-file", self.right.path("ca.pem"),
            "--tls-auth-clients", "yes", "--bind", "*", "-::*",
            "--protected-mode", "no", "--save", "", "--dir",
            self.cluster.folder)
        await_that("the database is ready", lambda: "Ready to accept"
                   in server.output() or not server.running(), 60)
        if not server.running():
            raise RuntimeError("redis-server: " + server.output())

    def _keys_of_its_own(self):
        client, path = self.stage.mongo_outside, self.right.path

        def ask(ca="ca.pem", pem="client.pem", key="client.pem"):
            return self._ask(client, "mongo", "ping", tls=(
                "--tls", "--cacert", path(ca), "--cert", path(pem), "--key",
                path(key)))

        self.step("a client with certificate, key and CA of its own", "PONG",
                  ask())
        self._refused("the same without TLS",
                      lambda: self._ask(client, "mongo", "ping"))
        self._refused("its key file is ca.pem", lambda: ask(key="ca.pem"))
        self._refused("its CA file is client.pem", lambda: ask(ca="client.pem"))

    def _in_the_mesh(self):
        stage = self.stage
        self.terminal.note("mongo-client in the mesh: its files reach the "
                           "agent, not the container")
        self.terminal.show(f"sidecar.istio.io/userVolume: '{VOLUME}'\n"
                           f"sidecar.istio.io/userVolumeMount: '{MOUNT}'")
        pod = stage.mongo_client
        self.cluster.publish(pod, metadata={"annotations": {
            **pod.object["metadata"]["annotations"],
            "sidecar.istio.io/userVolume": VOLUME,
            "sidecar.istio.io/userVolumeMount": MOUNT}})
        self._refused("mongo-client.mtls-test without a rule",
                      self._from_the_mesh)
        self.terminal.show(RULE + "# ours: the ConfigMap mongo-client-pem also "
                           "in mtls-test, where the pod is")
        self._give()
        self.cluster.apply("mongo-rule.yaml", RULE)
        self._served("mongo-client.mtls-test → mongo.mongo, no TLS flags: ping")
        value = "inserted-by-mongo-client"
        self.markers.append(value)
        self.step("insert", "OK", self._from_the_mesh("set", "item", value))
        self.step("find", value, self._from_the_mesh("get", "item"))
        told = "\n".join(one["reason"] for one in
                         pod.node.agent.status_json()["problems"])
        self.step("status tells of /pem/client.key, which the document lacks",
                  "the key in /pem/client.pem is used",
                  "the key in /pem/client.pem is used"
                  if "the key in /pem/client.pem is used" in told else told)

    def _served(self, what):
        try:
            await_that(what, lambda: self._from_the_mesh() == "PONG", 10)
        except TimeoutError:
            pass
        self.step(what, "PONG", self._from_the_mesh())

    def _what_is_wrong(self):
        rows = (
            ("another CA's ca.pem", {"ca_pem": self.other.read("ca.pem")}, ()),
            ("the CA file is client.pem", {}, (
                "caCertificates: /pem/ca.pem",
                "caCertificates: /pem/client.pem")),
            ("the key file is ca.pem", {}, ("/pem/client.key", "/pem/ca.pem")),
            ("another CA's client.pem",
             {"client_pem": self.other.read("client.pem")}, ()))
        for number, (what, files, patch) in enumerate(rows):
            # Else a pair that does not fit would leave the former in use.
            self.cluster.remove("mongo-rule.yaml")
            self._give(**files)
            name = f"wrong-{number}"
            rule = RULE.replace("db-mtls", name)
            self.cluster.apply("mongo-rule.yaml",
                               rule.replace(*patch) if patch else rule)
            await_that(f"{what}: the rule counts", lambda of=name: (
                self._from_the_mesh() and of in
                self.stage.mongo_client.node.agent.log()), 20)
            self._refused(f"with the rule, but {what}", self._from_the_mesh)
        self.cluster.remove("mongo-rule.yaml")
        self._give()
        self.cluster.apply("mongo-rule.yaml", RULE)
        self._served("all as it should be again")
        # It also concerns pods that mount no such files; status says so.
        self.cluster.remove("mongo-rule.yaml")
