#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No private key is where a core dump, another page or the past has it: the
whole memory of the agents and of the CA is searched, by the public keys that
were issued. Nobody tells the search a key."""
import argparse
import platform
import re
import subprocess
import sys

from harness import await_that, main, run
from harness.mesh_authority import MeshAuthority, read

# A function that returns at once.
_RETURN = {"x86_64": b"\xc3", "aarch64": b"\xc0\x03\x5f\xd6"}


def points(pem):
    """The public keys of PEM certificates, as the search wants them."""
    found = []
    for one in re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END "
                          r"CERTIFICATE-----\n", pem, re.S):
        key = run("openssl", "x509", "-noout", "-pubkey", stdin=one).stdout
        der = subprocess.run(
            ["openssl", "pkey", "-pubin", "-outform", "DER"],
            input=key.encode(), check=True, capture_output=True).stdout
        found.append(der[-65:].hex())
    return found


class Memory:
    """What the search finds in processes that stand still meanwhile."""

    def __init__(self, s, program):
        self._s, self._program = s, program

    def of(self, what, pid, keys, *flags):
        """{number of the key: {"kept", "dumped"}}"""
        run("kill", "-STOP", pid)
        try:
            done = run(self._program, pid, *flags, *keys, timeout=570)
        finally:
            run("kill", "-CONT", pid)
        *hits, total = done.stdout.splitlines()
        self._s.note(f"{what}: {total}")
        found = {}
        for hit in hits:
            number, kind, _ = hit.split(" ", 2)
            found.setdefault(int(number), set()).add(kind)
        return found


def switch_off(pid, symbol):
    """Makes a function of libcrypto's return at once in a running program."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        line = next(line for line in maps if "libcrypto.so" in line)
    base, path = int(line.split("-")[0], 16), line.split()[5]
    address = next(int(row.split()[0], 16) for row in run(
        "nm", "-D", path).stdout.splitlines()
        if re.fullmatch(rf"\S+ T {symbol}(@@\S+)?", row))
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(base + address)
        memory.write(_RETURN[platform.machine()])


def shown(agent, pod):
    return agent.command("certs", "show", f"mesh/{pod.account}").stdout


def another(agent, pod, before):
    """The next certificate, after `before`."""
    await_that("the next certificate", lambda: leaf(
        shown(agent, pod)) not in ("", leaf(before)), 60, 0.1)
    return shown(agent, pod)


def leaf(pem):
    return pem[:pem.find("-----END")]


def control(s, memory, folder):
    """A program that takes no care: its key lies open in the heap."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-keyout",
        f"{folder}/open.key", "-out", f"{folder}/open.crt")
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-key",
         f"{folder}/open.key", "-cert", f"{folder}/open.crt"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while "ACCEPT" not in server.stdout.readline():
            pass
        s.check("the search finds the key of openssl s_server", memory.of(
            "openssl", server.pid, points(read(f"{folder}/open.crt"))),
            {0: {"dumped"}})
    finally:
        server.kill()
        server.wait()


def search(s):
    lab = s.trio(start=False)
    memory = Memory(s, KEY_SEARCH)
    control(s, memory, lab.folder)
    authority = MeshAuthority(lab, "10s")
    first_issuer = read(f"{lab.folder}/issuer/tls.crt")
    authority.start()
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    lab.server.serve_web(80)
    agent, pod = lab.client.node.agent, lab.client
    issued = [shown(agent, pod)]
    for _ in range(2):
        # Keys are used by handshakes before they are withdrawn.
        s.check("traffic", lab.client.curl(
            f"http://{lab.vip4}:8000/").code, 200)
        issued.append(another(agent, pod, issued[-1]))
    # A fresh one, so that none is in flight while it is searched.
    issued[-1] = another(agent, pod, issued[-1])
    keys = [points(pem)[0] for pem in issued]
    root, server = points(read(authority.bundle))[0], points(
        shown(lab.server.node.agent, lab.server))[0]
    found = memory.of("the client's agent", agent.pid,
                      [*keys, root, server])
    last = len(keys) - 1
    s.check("the key in use lies where no core dump has it, and nowhere else",
            found.get(last), {"kept"})
    s.check("any other key: withdrawn ones, the root's, another node's", {
        number for number in found if number != last}, set())

    authority.move(authority.root)
    second_issuer = read(f"{lab.folder}/issuer/tls.crt")
    # It says that it has moved a moment before it has let go.
    for _ in range(3):
        found = memory.of("the CA", authority.process.pid, [
            points(second_issuer)[0], points(first_issuer)[0], root, *keys])
        if set(found) == {0}:
            break
    s.check("the CA's signing key lies where no core dump has it",
            found.get(0), {"kept"})
    s.check("the issuer before it, the root's, and what others made",
            {number for number in found if number}, set())
    careless(s, memory, agent, pod)
    authority.process.stop(30)


def careless(s, memory, agent, pod):
    """The same agent, made to forget to release keys: they are found."""
    before = shown(agent, pod)
    switch_off(agent.pid, "EVP_PKEY_free")
    after = another(agent, pod, before)
    s.check("an agent that does not wipe would be found out", memory.of(
        "it", agent.pid, [points(before)[0], points(after)[0]]),
        {0: {"kept"}, 1: {"kept"}})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--key-search", required=True)
    own, sys.argv[1:] = parser.parse_known_args()
    KEY_SEARCH = own.key_search
    main(search)
