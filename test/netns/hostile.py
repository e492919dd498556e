#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile clients of 15008 and of the agent's other ports: refused, bounded,
and nobody else notices."""
import os
import resource
import socket
import ssl
import struct

from harness import await_that, main, policy
from peers.hbone_client import Tunnels
from peers.identity import issue, other_ca


def run(s):
    # Everything of one process: it must be allowed as many descriptors.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    lab = s.trio()
    lab.server.serve_web(80)
    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    await_that("STRICT holds", lambda: lab.legacy.curl(
        f"http://{lab.server.ip4}/").code == 0)
    me = issue(lab.ca, f"{lab.folder}/id",
               "spiffe://cluster.local/ns/mesh/sa/client")
    authorities(s, lab, me)
    certificates(s, lab)
    bytes_of_all_kinds(s, lab)
    reserved_ports(s, lab)
    never_reads(s, lab, me)
    idle(s, lab, min(10000, hard - 2000))
    s.check("after all that: mesh", str(lab.client.curl(
        f"http://{lab.vip4}:8000/")), "200, exit 0")


def authorities(s, lab, me):
    """`:authority` must be the very address that the TLS connection is to."""
    server = lab.server
    # In legacy, the harness may speak TLS itself: nothing captures it there.
    tunnels = Tunnels(lab.legacy.connect(server.ip4, 15008), me)
    for authority, want in (
            (f"{server.ip4}:80", 200), (f"{server.ip4}:81", 503),
            ("127.0.0.1:80", 400), ("[::1]:80", 400), ("0.0.0.0:80", 400),
            (f"{lab.client.ip4}:80", 400), (f"[{server.ip6}]:80", 400),
            (f"{lab.vip4}:8000", 400), ("localhost:80", 400),
            ("server.mesh:80", 400), (server.ip4, 503), ("", 400),
            (f"{server.ip4}:0", 400), (f"{server.ip4}:65536", 400),
            (f"{server.ip4}:80x", 400),
            (f"{server.ip4}:15001", 503), (f"{server.ip4}:15006", 503),
            (f"{server.ip4}:15008", 503)):
        try:
            stream = tunnels.connect(authority)
            seen = stream.status or "reset"
        except (ConnectionResetError, ssl.SSLError) as error:
            seen = type(error).__name__
            tunnels = Tunnels(lab.legacy.connect(server.ip4, 15008), me)
        if authority == "" and seen == "reset":
            seen = 400  # HTTP/2 itself forbids an empty authority
        s.check(f"CONNECT {authority!r}", seen, want)
    s.check("GET instead of CONNECT",
            tunnels.connect(f"{server.ip4}:80", method="GET").status, 400)
    tunnels.close()


def certificates(s, lab):
    spiffe = "spiffe://cluster.local/ns/mesh/sa/client"
    folder = f"{lab.folder}/id"
    stranger = other_ca(f"{folder}/other")
    cases = {
        "no certificate": None,
        "a certificate of another CA": issue(stranger, folder, spiffe, "a"),
        "another trust domain": issue(
            lab.ca, folder, "spiffe://elsewhere/ns/mesh/sa/client", "b"),
        "no SPIFFE identity": issue(
            lab.ca, folder, "https://example.org/ns/mesh/sa/client", "c"),
        "a SPIFFE identity of another shape": issue(
            lab.ca, folder, "spiffe://cluster.local/mesh/client", "d"),
        "a server's certificate only": issue(
            lab.ca, folder, spiffe, "e", usage="serverAuth"),
    }
    for name, identity in cases.items():
        try:
            if identity:
                identity.roots = f"{lab.ca}/ca.crt"
            tunnels = Tunnels(lab.legacy.connect(lab.server.ip4, 15008),
                              identity)
            seen = tunnels.connect(f"{lab.server.ip4}:80").status
        except (OSError, ssl.SSLError):
            seen = "refused"
        s.check(name, seen, "refused")


def bytes_of_all_kinds(s, lab):
    hello = bytes.fromhex("16030102000100") + os.urandom(60)
    for name, data in (("garbage", os.urandom(4000)),
                       ("HTTP in plaintext", b"GET / HTTP/1.1\r\n\r\n"),
                       ("HTTP/2 in plaintext",
                        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
                       ("half a ClientHello, then silence", hello),
                       ("a record of 64 KB", b"\x16\x03\x01\xff\xff" +
                        bytes(70000))):
        one = lab.legacy.connect(lab.server.ip4, 15008)
        try:
            one.sendall(data)
            while one.recv(1000):
                pass
            seen = "ended"
        except TimeoutError:
            seen = "left open"
        except OSError:
            seen = "ended"
        one.close()
        s.check(f"15008: {name}", seen, "ended")


def reserved_ports(s, lab):
    """15001 and 15006 are the agent's own: a captured connection to them
    would go round and round."""
    for name, address in (("v4", lab.server.ip4), ("v6", lab.server.ip6)):
        for port in (15001, 15006):
            for pod in (lab.legacy, lab.server):
                reply = pod.curl(f"http://[{address}]:{port}/" if ":" in
                                 address else f"http://{address}:{port}/")
                s.check(f"{pod.name} to {port}, {name}", reply.code, 0)
    for address in ("127.0.0.1", "[::1]"):
        for port in (15001, 15006):
            s.check(f"the pod itself to {address}:{port}", lab.server.curl(
                f"http://{address}:{port}/").code, 0)


def never_reads(s, lab, me):
    """A peer that asks for much and never takes it."""
    lab.server.app("stream", "source", 90, 300 << 20, ready="listening")
    agent = lab.server.node.agent
    before = agent.memory()
    tunnels = Tunnels(lab.legacy.connect(lab.server.ip4, 15008), me,
                      read_credit=False)
    for _ in range(20):
        tunnels.connect(f"{lab.server.ip4}:90", wait=False)
    for _ in range(20):
        if lab.client.curl(f"http://{lab.vip4}:8000/").code != 200:
            s.that("others are served meanwhile", False)
    grown = agent.memory() - before
    s.that(f"20 streams unread: {grown / 1048576:.1f} MB held, "
           "at most 2 MB each",
           grown < (400 if s.sanitizer else 40) << 20)
    tunnels.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                           struct.pack("ii", 1, 0))
    tunnels.close()


def idle(s, lab, count):
    """Connections that say nothing cost little, are ended, and leave nothing
    behind."""
    agent = lab.server.node.agent
    memory, descriptors = agent.memory(), agent.descriptors()
    held = [lab.legacy.connect(lab.server.ip4, 15008) for _ in range(count)]
    grown = (agent.memory() - memory) / count
    s.that(f"{count} idle connections: {grown / 1024:.1f} KB each",
           grown < (200 if s.sanitizer else 16) << 10)
    s.check("meanwhile", str(lab.client.curl(f"http://{lab.vip4}:8000/")),
            "200, exit 0")
    await_that("their handshakes time out", lambda: agent.descriptors()
               < descriptors + 50, 60, 0.2)
    for one in held:
        one.close()


if __name__ == "__main__":
    main(run)
