#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Roots and certificates change under traffic, and the CA goes away for a
while: no connection is lost. A root that is taken away and a certificate that
is revoked end what rests on them."""
import os
import shutil
import threading

from harness import Process, await_that, main
from peers.identity import other_ca, revocation_list

AGENT = "system:serviceaccount:nodeward-system:nodeward-agent"


class Authority:
    """`nodeward ca` on node-a; restarted at will."""

    def __init__(self, lab):
        self.lab, self.tokens = lab, f"{lab.folder}/tokens"
        put(self.tokens, *(f"token-of-{node}-0123456789 {AGENT} node={node}\n"
                           for node in lab.nodes))
        os.chmod(self.tokens, 0o600)
        self.process = None

    def start(self):
        node = self.lab.nodes["node-a"]
        self.process = Process(node.enter(
            self.lab.binary, "ca", "--issuer", self.lab.ca, "--roots",
            f"{self.lab.folder}/roots.pem", "--listen", "10.89.0.1:15012",
            "--name", "10.89.0.1", "--token-file", self.tokens, "--manifests",
            self.lab.manifests), f"{self.lab.folder}/ca.log")
        await_that("the CA has started", lambda: "CA started"
                   in self.process.output() or not self.process.running())

    def settings(self, node):
        path = f"{self.lab.folder}/token-{node.name}"
        put(path, f"token-of-{node.name}-0123456789\n")
        return {"address": "10.89.0.1:15012", "token": path,
                "roots": f"{self.lab.folder}/roots.pem", "lifetime": "24s"}


def rotation(s):
    lab = prepared(s)
    authority = Authority(lab)
    authority.start()
    for agent in lab.agents():
        agent.config["ca"] = authority.settings(agent.node)
    start(lab)
    bundle, roots = f"{lab.folder}/roots.pem", [read(f"{lab.ca}/ca.crt")]
    lab.server.serve_web(80)
    listener = lab.server.listen(81)
    traffic = Traffic(lab)
    for number in (1, 2):
        old = opened(lab, listener)
        new_ca = other_ca(f"{lab.folder}/ca-{number}")
        roots.append(read(f"{new_ca}/ca.crt"))
        put(bundle, *roots[-2:])
        for name in ("ca.key", "ca.crt"):
            shutil.copy2(f"{new_ca}/{name}", f"{lab.ca}/.{name}.new")
            os.rename(f"{lab.ca}/.{name}.new", f"{lab.ca}/{name}")
        await_that(f"rotation {number}: both ends have moved", lambda: all(
            leads_to(lab, agent, roots[-1]) for agent in lab.agents()), 120)
        # Through a tunnel that rests on the new root at either end.
        new = opened(lab, listener)
        s.that(f"rotation {number}: old and new connection go on",
               speaks(old) and speaks(new))
        put(bundle, roots[-1])
        s.check(f"rotation {number}: what rests on the root that is gone",
                ending(old[0]), "reset")
        s.that(f"rotation {number}: what rests on the new one", speaks(new))
        for each in (*old, *new):
            each.close()

    authority.process.kill()
    await_that("a renewal fails, and status says so", lambda: all(
        "does not issue" in agent.status_json()["ca_problem"]
        for agent in lab.agents()), 120)
    s.that("a renewal fails, and status says so", True)
    authority.start()
    await_that("the CA is back", lambda: not any(
        agent.status_json()["ca_problem"] for agent in lab.agents()), 120)
    done, failed = traffic.stop()
    s.note(f"{done} connections meanwhile")
    s.that("connections were made all the while", done > 50)
    s.check("and failed", failed, [])

    for agent in lab.agents():
        lines = agent.command("check").stdout
        s.that(f"{agent.node.name}: check compares what is in use",
               "√ data plane proxies certificate match CA" in lines)
        s.that(f"{agent.node.name}: certs lists it",
               "spiffe://cluster.local/ns/mesh/sa/" in
               agent.command("certs").stdout)
    listener.close()
    authority.process.stop(30)


def revocation(s):
    """A list that names the client's certificate ends what it has open."""
    lab = prepared(s)
    start(lab)
    listener = lab.server.listen(81)
    lab.server.serve_web(80)
    held = opened(lab, listener)
    url = f"http://{lab.vip4}:8000/"
    s.check("before", str(lab.client.curl(url)), "200, exit 0")
    own = lab.client.node.agent
    revoked = f"{lab.folder}/revoked.pem"
    put(revoked, own.command("certs", "show", "mesh/client").stdout)
    put(f"{lab.folder}/crl.pem",
        revocation_list(lab.ca, f"{lab.folder}/crl", revoked))
    s.check("the revoked client's open connection", ending(held[0]), "reset")
    s.check("and a new one", str(lab.client.curl(url)), "000, exit 56")
    own.stop()
    own.start()
    own.await_state(lab.client, "enrolled", deadline=60)
    await_that("its next certificate is good again",
               lambda: lab.client.curl(url).code == 200)
    s.that("its next certificate is good again", True)
    for each in (*held, listener):
        each.close()


def prepared(s):
    """Agents that trust a bundle and a revocation list of files."""
    lab = s.trio(start=False)
    other_ca(lab.ca)
    put(f"{lab.folder}/roots.pem", read(f"{lab.ca}/ca.crt"))
    put(f"{lab.folder}/crl.pem",
        revocation_list(lab.ca, f"{lab.folder}/crl"))
    for agent in lab.agents():
        agent.config["trust"] = {"bundle": f"{lab.folder}/roots.pem",
                                 "crl": f"{lab.folder}/crl.pem",
                                 "grace": "1h"}
    return lab


def start(lab):
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)


class Traffic:
    """Connections one after another, each a new one."""

    def __init__(self, lab):
        self._lab, self._stop = lab, threading.Event()
        self._done, self._failed = 0, []
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self):
        while not self._stop.wait(0.05):
            reply = self._lab.client.curl(f"http://{self._lab.vip4}:8000/")
            self._done += 1
            if str(reply) != "200, exit 0":
                self._failed.append(str(reply))

    def stop(self):
        self._stop.set()
        self._thread.join()
        return self._done, self._failed


def opened(lab, listener):
    one = lab.client.connect(lab.server.ip4, 81)
    one.sendall(b"hello")
    other, _ = listener.accept()
    other.settimeout(30)
    assert other.recv(5) == b"hello"
    return one, other


def leads_to(lab, agent, root):
    """Do all certificates in use on the node lead to `root`?"""
    path = f"{lab.folder}/{agent.node.name}-root.pem"
    put(path, root)
    shown = [agent.command("certs", "show", f"mesh/{pod.account}").stdout
             for pod in (lab.server, lab.client) if pod.node is agent.node]
    return all("BEGIN" in one and lab.legacy.run(
        "openssl", "verify", "-CAfile", path, stdin=one,
        check=False).returncode == 0 for one in shown)


def speaks(pair):
    one, other = pair
    one.sendall(b"there")
    if other.recv(5) != b"there":
        return False
    other.sendall(b"back")
    return one.recv(4) == b"back"


def ending(connection):
    try:
        data = connection.recv(100)
        return "end of stream" if not data else data
    except ConnectionResetError:
        return "reset"


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def put(path, *texts):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write("".join(texts))
    os.rename(path + ".new", path)


def run(s):
    rotation(s)
    revocation(s)


if __name__ == "__main__":
    main(run)
