# SPDX-License-Identifier: Apache-2.0
"""A CA as a process: its folder, its tokens, and what it says."""
import os
import re
import shutil

from .process import Process, await_that, run


def new_csr(folder, spiffe, key="ec -pkeyopt ec_paramgen_curve:P-256"):
    """(CSR, key) in PEM, by the openssl program."""
    path = f"{folder}/{os.urandom(6).hex()}"
    run("openssl", "req", "-new", "-newkey", *key.split(), "-nodes", "-subj",
        "/", "-addext", f"subjectAltName=critical,URI:{spiffe}",
        "-keyout", f"{path}.key", "-out", f"{path}.csr")
    with open(f"{path}.csr", encoding="ascii") as csr, \
            open(f"{path}.key", encoding="ascii") as private:
        return csr.read(), private.read()


class Authority:
    """`nodeward ca` on loopback, on ports of its own choice. `tokens`: the
    token file's text; None: Kubernetes knows them."""

    def __init__(self, binary, folder, tokens, **options):
        self.folder = folder
        self.issuer = f"{folder}/issuer"
        flags = {"issuer": self.issuer, "listen": "127.0.0.1:0",
                 "admin": "127.0.0.1:0"} | options
        words = [word for key, value in flags.items()
                 for word in (f"--{key}", value)]
        if tokens is None:
            words.append("--kubernetes")
        else:
            with open(f"{folder}/tokens", "w", encoding="ascii",
                      opener=lambda p, f: os.open(p, f, 0o600)) as file:
                file.write(tokens)
            words += ["--token-file", f"{folder}/tokens"]
        self.process = Process([binary, "ca"] + words, f"{folder}/log")
        await_that("the CA has started or ended", lambda: (
            "CA started" in self.log() or not self.process.running()))

    def log(self):
        return self.process.output()

    def _said(self, key):
        return re.search(rf"\b{key}=\"?([^\s\"]+)", self.log())[1]

    @property
    def address(self):
        return "localhost:" + self._said("listen").rsplit(":", 1)[1]

    @property
    def admin(self):
        return "http://" + self._said("admin")

    def metric(self, name):
        text = run("curl", "-s", f"{self.admin}/metrics").stdout
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
        return float(found[1]) if found else 0.0

    def swap(self, other):
        """Puts the files of `other` into the issuer's folder, as a copy
        program would, one after the other."""
        for name in sorted(os.listdir(other)):
            shutil.copy(f"{other}/{name}", f"{self.issuer}/.{name}")
            os.rename(f"{self.issuer}/.{name}", f"{self.issuer}/{name}")

    def stop(self):
        return self.process.stop(30)
