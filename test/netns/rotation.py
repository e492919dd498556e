#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Roots and certificates change under traffic: two whole rotations without a
lost connection, then a root taken away and a certificate revoked, which end
what rests on them."""
import os
import shutil
import threading

from harness import await_that, main
from peers.identity import other_ca, revocation_list


def rotation(s):
    lab, _ = started(s, "16s")
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
            shutil.copy2(f"{new_ca}/{name}", f"{lab.ca}/{name}.new")
            os.rename(f"{lab.ca}/{name}.new", f"{lab.ca}/{name}")
        await_that(f"rotation {number}: both ends have moved", lambda: all(
            leads_to(lab, agent, roots[-1]) for agent in lab.agents()), 90)
        # A tunnel that both certificates of the new root made.
        new = opened(lab, listener)
        s.that(f"rotation {number}: old and new connection go on",
               speaks(old) and speaks(new))
        put(bundle, roots[-1])
        s.check(f"rotation {number}: what rests on the root that is gone",
                ending(old[0]), "reset")
        s.that(f"rotation {number}: what rests on the new one", speaks(new))
        for each in (*old, *new):
            each.close()
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


def revocation(s):
    """A list that names the client's certificate ends what it has open."""
    lab, crl = started(s, "24h")
    listener = lab.server.listen(81)
    lab.server.serve_web(80)
    held = opened(lab, listener)
    url = f"http://{lab.vip4}:8000/"
    s.check("before", str(lab.client.curl(url)), "200, exit 0")
    own = lab.client.node.agent
    revoked = f"{lab.folder}/revoked.pem"
    put(revoked, own.command("certs", "show", "mesh/client").stdout)
    put(crl, revocation_list(lab.ca, f"{lab.folder}/crl", revoked))
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


def started(s, lifetime):
    """Agents with a bundle and a revocation list of files."""
    lab = s.trio(start=False)
    crl = f"{lab.folder}/crl.pem"
    other_ca(lab.ca)
    put(f"{lab.folder}/roots.pem", read(f"{lab.ca}/ca.crt"))
    put(crl, revocation_list(lab.ca, f"{lab.folder}/crl"))
    for agent in lab.agents():
        agent.config["ca"] = {"embedded": lab.ca, "lifetime": lifetime}
        agent.config["trust"] = {"bundle": f"{lab.folder}/roots.pem",
                                 "crl": crl, "grace": "1h"}
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    return lab, crl


def opened(lab, listener):
    one = lab.client.connect(lab.server.ip4, 81)
    one.sendall(b"hello")
    other, _ = listener.accept()
    other.settimeout(30)
    assert other.recv(5) == b"hello"
    return one, other


def run(s):
    rotation(s)
    revocation(s)


class Traffic:
    """Connections one after another, each a new one."""

    def __init__(self, lab):
        self._lab, self._stop = lab, threading.Event()
        self._done, self._failed = 0, []
        self._thread = threading.Thread(target=self._go)
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


def leads_to(lab, agent, root):
    """Do all certificates in use on the node lead to `root`?"""
    path = f"{lab.folder}/{agent.node.name}-root.pem"
    put(path, root)
    names = [pod.account for pod in (lab.server, lab.client)
             if pod.node is agent.node]
    shown = [agent.command("certs", "show", f"mesh/{name}").stdout
             for name in names]
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


if __name__ == "__main__":
    main(run)
