#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A trust domain that changes its name, node by node, without a pod that is
restarted; and a foreign one that is let in, vouches for itself alone, and is
shut out again without harm to our own."""
import re

from harness import await_that, main, policy
from harness.mesh_authority import put, read
from harness.traffic import ending, opened, speaks
from peers.hbone_client import Tunnels
from peers.identity import issue, other_ca

OLD, NEW = "cluster.local", "new.example"


def names(lab):
    """The URI SAN that the server shows on its own port."""
    done = lab.legacy.run("openssl", "s_client", "-alpn", "istio", "-connect",
                          f"{lab.server.ip4}:80", stdin="", check=False)
    text = lab.legacy.run("openssl", "x509", "-noout", "-ext",
                          "subjectAltName", stdin=done.stdout).stdout
    return re.findall(r"URI:(\S+)", text)


def restart(lab, pod, domain, *aliases):
    agent = pod.node.agent
    agent.config["trustDomain"] = domain
    agent.config["trustDomainAliases"] = list(aliases)
    if agent.running():
        agent.stop()
    agent.start()
    lab.await_enrolled(pod)


def lets_in(lab, identity):
    """Does the server take a tunnel of that certificate?"""
    try:
        tunnels = Tunnels(lab.legacy.connect(lab.server.ip4, 15008), identity)
        status = tunnels.connect(f"{lab.server.ip4}:80").status
        tunnels.close()
        return status == 200
    except OSError:
        return False


def change(s):
    lab = s.trio(start=False)
    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    for pod in (lab.server, lab.client):
        restart(lab, pod, OLD, NEW)
    program = lab.server.serve_web(80)
    url = f"http://{lab.vip4}:8000/"

    def works(what, domain):
        s.check(f"{what}: from pod to pod", str(lab.client.curl(url)),
                "200, exit 0")
        s.check(f"{what}: the server's name", names(lab),
                [f"spiffe://{domain}/ns/mesh/sa/server"])
    works("before", OLD)
    restart(lab, lab.server, NEW, OLD)
    works("the server's node has moved", NEW)
    before = issue(lab.ca, f"{lab.folder}/old",
                   f"spiffe://{OLD}/ns/mesh/sa/client")
    s.that("a certificate of the old name is good", lets_in(lab, before))
    restart(lab, lab.client, NEW, OLD)
    works("both have", NEW)
    for pod in (lab.client, lab.server):
        restart(lab, pod, NEW)
    works("the old name is gone", NEW)
    s.that("a certificate of the old name is refused",
           not lets_in(lab, before))
    s.that("of the new name it is good", lets_in(lab, issue(
        lab.ca, f"{lab.folder}/new", f"spiffe://{NEW}/ns/mesh/sa/client")))
    s.that("the application is the same", program.running())
    lab.close()


def federation(s):
    lab = s.trio(start=False)
    other_ca(lab.ca)
    put(f"{lab.folder}/roots.pem", read(f"{lab.ca}/ca.crt"))
    foreign_ca = other_ca(f"{lab.folder}/foreign")
    bundle = f"{lab.folder}/foreign.pem"
    put(bundle, read(f"{foreign_ca}/ca.crt"))
    lab.server.node.agent.config["trust"] = {
        "bundle": f"{lab.folder}/roots.pem", "grace": "1h",
        "federation": [f"other.example={bundle}"]}
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    lab.server.serve_web(80)
    listener = lab.server.listen(81)

    def certificate(ca, domain, name):
        made = issue(ca, f"{lab.folder}/{name}",
                     f"spiffe://{domain}/ns/there/sa/caller")
        put(made.roots + f".{name}", read(f"{lab.ca}/ca.crt"))
        made.roots += f".{name}"
        return made
    theirs = certificate(foreign_ca, "other.example", "theirs")
    s.that("theirs, by their root", lets_in(lab, theirs))
    s.that("a name of ours, by their root", not lets_in(
        lab, certificate(foreign_ca, OLD, "ours-by-them")))
    s.that("a name of theirs, by our root", not lets_in(
        lab, certificate(lab.ca, "other.example", "theirs-by-us")))
    s.that("a third one's name, by their root", not lets_in(
        lab, certificate(foreign_ca, "third.example", "third")))
    tunnels = Tunnels(lab.legacy.connect(lab.server.ip4, 15008), theirs)
    stream = tunnels.connect(f"{lab.server.ip4}:81")
    other, _ = listener.accept()
    other.settimeout(30)
    stream.send(b"hello")
    s.check("theirs, held open", other.recv(5), b"hello")
    held = opened(lab.client, lab.server.ip4, listener, 81)
    # Their root is found to be compromised: another takes its place.
    put(bundle, read(other_ca(f"{lab.folder}/foreign-2") + "/ca.crt"))
    s.check("what rests on the root that is gone", ending(other), "reset")
    s.that("and nothing new", not lets_in(lab, theirs))
    s.that("our own goes on", speaks(held))
    s.that("by their next root", await_that("their next root", lambda: lets_in(
        lab, certificate(f"{lab.folder}/foreign-2", "other.example",
                         "next"))))
    listener.close()


def scenario(s):
    change(s)
    federation(s)


if __name__ == "__main__":
    main(scenario)
