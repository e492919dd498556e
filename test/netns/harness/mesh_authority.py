# SPDX-License-Identifier: Apache-2.0
"""`nodeward ca` for the agents of a cluster: roots, issuers under them and the
trust bundle, all of files that change while it runs."""
import os
import re
import shutil

from .process import Process, await_that, run

_AGENT = "system:serviceaccount:nodeward-system:nodeward-agent"
_ADDRESS = "10.89.0.1:15012"


def put(path, *texts):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write("".join(texts))
    os.rename(path + ".new", path)


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


class MeshAuthority:
    """On node-a; asked by every node's agent with a token of its own. Roots
    are folders with ca.crt and ca.key."""

    def __init__(self, lab, lifetime, grace="1h", in_flight=64):
        self.lab, self.process, self._in_flight = lab, None, in_flight
        self.bundle = f"{lab.folder}/roots.pem"
        self._issuer = f"{lab.folder}/issuer"
        self._tokens = f"{lab.folder}/tokens"
        self._issuers = self._roots = self._starts = 0
        put(self._tokens, *(
            f"token-of-{node}-0123456789 {_AGENT} node={node}\n"
            for node in lab.nodes))
        os.chmod(self._tokens, 0o600)
        self.root = self.new_root()
        self.trust(self.root)
        self.move(self.root)
        for agent in lab.agents():
            token = f"{lab.folder}/token-{agent.node.name}"
            put(token, f"token-of-{agent.node.name}-0123456789\n")
            agent.config["ca"] = {
                "address": _ADDRESS, "token": token, "roots": self.bundle,
                "lifetime": lifetime}
            agent.config["trust"] = {"bundle": self.bundle, "grace": grace}

    def new_root(self):
        self._roots += 1
        folder = f"{self.lab.folder}/root-{self._roots}"
        run(self.lab.binary, "ca", "init", folder)
        return folder

    def trust(self, *roots):
        put(self.bundle, *(read(f"{root}/ca.crt") for root in roots))

    def move(self, root):
        """To a new issuer under `root`: its files, one after the other. A CA
        that runs has taken it on return."""
        self._issuers += 1
        made = f"{self._issuer}-{self._issuers}"
        run(self.lab.binary, "ca", "issue-intermediate", root, made)
        os.makedirs(self._issuer, exist_ok=True)
        for name in ("tls.crt", "tls.key"):
            shutil.copy2(f"{made}/{name}", f"{self._issuer}/.{name}.new")
            os.rename(f"{self._issuer}/.{name}.new", f"{self._issuer}/{name}")
        if self.process and self.process.running():
            serial = run("openssl", "x509", "-noout", "-serial", "-in",
                         f"{made}/tls.crt").stdout.split("=")[1].strip()
            await_that("the CA has taken the issuer", lambda: re.search(
                f"issuer in use.* serial={serial}", self.process.output(),
                re.IGNORECASE), 60)

    def start(self):
        self._starts += 1
        self.process = Process(self.lab.nodes["node-a"].enter(
            self.lab.binary, "ca", "--issuer", self._issuer, "--roots",
            self.bundle, "--listen", _ADDRESS, "--name", "10.89.0.1",
            "--token-file", self._tokens, "--manifests", self.lab.manifests,
            "--rate", "1000", "--burst", "2000", "--in-flight",
            self._in_flight),
            f"{self.lab.folder}/ca-{self._starts}.log")
        await_that("the CA has started", lambda: "CA started"
                   in self.process.output() or not self.process.running())
        if not self.process.running():
            raise RuntimeError(f"the CA has ended:\n{self.process.output()}")
