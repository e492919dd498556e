#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Short-lived certificates under steady traffic: two roots come and go, the
issuer moves five times, the CA is dead for longer than a certificate lives.
Every connection that should succeed does, and none that should not. With
NODEWARD_SOAK=long in the environment: lifetimes of a minute, a dead CA for
two."""
import dataclasses
import json
import os
import re
import time

from harness import await_that, main, policy
from harness.mesh_authority import MeshAuthority, put, read
from harness.traffic import Traffic, ending, opened, speaks
from peers.hbone_client import Tunnels
from peers.identity import issue, other_ca

LONG = os.environ.get("NODEWARD_SOAK") == "long"
LIFETIME, OUTAGE, REST = (60, 120, 30) if LONG else (12, 20, 0)
GOOD = "200, exit 0"


def prepared(s):
    lab = s.trio(start=False)
    authority = MeshAuthority(lab, f"{LIFETIME}s")
    authority.start()
    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    lab.server.serve_web(80)
    return lab, authority


class Stranger:
    """Somebody with a certificate for the client's name, by `ca`; it does not
    ask who the server is."""

    def __init__(self, lab, name, ca):
        self._lab = lab
        self._identity = dataclasses.replace(issue(
            ca, f"{lab.folder}/{name}",
            "spiffe://cluster.local/ns/mesh/sa/client"), roots=None)

    def attempt(self):
        try:
            tunnels = Tunnels(self._lab.legacy.connect(
                self._lab.server.ip4, 15008), self._identity)
            stream = tunnels.connect(f"{self._lab.server.ip4}:80")
            tunnels.close()
            return f"CONNECT: {stream.status}"
        except OSError:
            return "refused"


def soak(s):
    lab, authority = prepared(s)
    url = f"http://{lab.vip4}:8000/"
    s.check("a certificate by the root in force", Stranger(
        lab, "good", authority.root).attempt(), "CONNECT: 200")
    traffic = [Traffic(lambda: str(lab.client.curl(url))),
               Traffic(lambda: str(lab.client.curl(
                   f"http://{lab.server.ip4}/")))]
    plain = Traffic(lambda: str(lab.legacy.curl(
        f"http://{lab.server.ip4}/")), 0.2)
    stranger = Traffic(Stranger(
        lab, "stranger", other_ca(f"{lab.folder}/other")).attempt, 0.2)
    listener = lab.server.listen(81)
    held = opened(lab.client, lab.server.ip4, listener, 81)

    gone = None
    for number in (1, 2):
        held, gone = rotate(s, lab, authority, listener, held, number)
    authority.move(authority.root)
    # New roots beside an issuer that stays are told in such a line, too: the
    # first issuer's is there if the CA looked between the two.
    moves = set(re.findall(r"issuer in use .*serial=(\w+)",
                           authority.process.output()))
    s.that(f"the issuer has moved five times ({len(moves)} told of)",
           len(moves) in (5, 6))
    time.sleep(REST)
    dark, light = outage(s, lab, authority, traffic)
    await_that("traffic flows again", lambda: all(
        len(one.seen(light)) > 5 for one in traffic), 60)

    for one in (*traffic, plain, stranger, gone):
        one.stop()
    for one, what in zip(traffic, ("Service", "pod")):
        total = len(one.seen())
        s.note(f"{what}: {total} connections, the slowest "
               f"{one.slowest():.1f} s")
        s.that(f"{what}: connections were made all the while", total > 40)
        s.check(f"{what}: what failed while certificates were good",
                [what for what in one.seen(0, dark[0]) + one.seen(light)
                 if what != GOOD], [])
        s.check(f"{what}: and what got through then",
                [what for what in one.seen(dark[1], dark[2])
                 if not what.startswith("000")], [])
    s.check("plaintext that got through", [
        what for what in plain.seen() if not what.startswith("000")], [])
    s.check("strangers that got through", set(stranger.seen()), {"refused"})
    s.check("with the root that is gone", set(gone.seen()), {"refused"})
    s.note(f"{len(plain.seen())}, {len(stranger.seen())} and "
           f"{len(gone.seen())} attempts")
    for agent in lab.agents():
        s.that(f"{agent.node.name}: check compares what is in use",
               "√ data plane proxies certificate match CA" in
               agent.command("check").stdout)
    listener.close()
    authority.process.stop(30)


def rotate(s, lab, authority, listener, held, number):
    """A new root, two issuers under it, the old root away."""
    old, new = authority.root, authority.new_root()
    authority.trust(old, new)
    authority.move(new)
    moved(lab, f"rotation {number}", new)
    fresh = opened(lab.client, lab.server.ip4, listener, 81)
    s.that(f"rotation {number}: old and new connection go on",
           speaks(held) and speaks(fresh))
    authority.move(new)
    time.sleep(REST)
    authority.trust(new)
    s.check(f"rotation {number}: what rests on the root that is gone",
            ending(held[0]), "reset")
    s.that(f"rotation {number}: what rests on the new one", speaks(fresh))
    for each in held:
        each.close()
    authority.root = new
    # It has ended what was open: from now on it lets nobody in.
    return fresh, Traffic(Stranger(lab, f"gone-{number}", old).attempt, 0.5)


def moved(lab, what, root):
    """Until all certificates in use lead to `root`."""
    path = f"{lab.folder}/wanted-root.pem"
    put(path, read(f"{root}/ca.crt"))

    def leads(pod):
        shown = pod.node.agent.command(
            "certs", "show", f"mesh/{pod.account}").stdout
        put(f"{lab.folder}/shown", shown)
        return "BEGIN" in shown and lab.legacy.run(
            "openssl", "verify", "-CAfile", path, "-untrusted",
            f"{lab.folder}/shown", f"{lab.folder}/shown",
            check=False).returncode == 0
    await_that(f"{what}: both ends have moved", lambda: all(
        leads(pod) for pod in (lab.server, lab.client)), 4 * LIFETIME + 60)


def certificates(lab):
    """{account: (state, end)} of the two pods' certificates."""
    found = {}
    for agent in lab.agents():
        for one in json.loads(agent.command("certs", "-o", "json").stdout):
            end = time.mktime(time.strptime(
                one["not_after"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
            found[one["identity"].rsplit("/", 1)[1]] = one["state"], end
    return {name: found[name] for name in ("client", "server")}


def outage(s, lab, authority, traffic):
    """((last good instant, first dark one, end of the dark), light again)"""
    authority.process.kill()
    killed = time.time()
    ends = {}

    def expired():
        for name, (state, end) in certificates(lab).items():
            if state != "expired":
                ends[name] = end
        return time.time() > max(ends.values()) + 1
    await_that("the certificates have expired", expired, 2 * LIFETIME + 30,
               0.2)
    s.check("then they are not shown as good", {
        state for state, _ in certificates(lab).values()}, {"expired"})
    s.that("status says why", all(
        "does not issue" in agent.status_json()["ca_problem"]
        for agent in lab.agents()))
    begin = max(ends.values()) + 1
    s.check("a connection then", lab.client.curl(
        f"http://{lab.vip4}:8000/").outcome, "refused")
    s.that("the client's log says why", "expired on" in
           lab.client.node.agent.log())
    await_that("the CA has been dead for long enough", lambda: (
        time.time() > killed + OUTAGE and all(
            one.seen(begin) for one in traffic)), OUTAGE + 60, 0.2)
    end = time.time()
    authority.start()
    await_that("all is well again", lambda: {
        state for state, _ in certificates(lab).values()} == {"valid"}, 240)
    s.note(f"certificates {time.time() - end:.1f} s after the CA's return")
    return (min(ends.values()) - 0.5, begin, end), time.time()


if __name__ == "__main__":
    main(soak)
