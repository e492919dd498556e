#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HBONE with peers that share no code with us: a client of Python's h2 and
ssl, a server of Node.js's http2, in both directions, both families."""
import os

from harness import await_that, main, policy
from peers.hbone_client import Tunnels
from peers.identity import issue

SERVER = os.path.join(os.path.dirname(__file__), "../peers/hbone_server.js")


def run(s):
    # node-b has no agent: what speaks for its pods is the foreign peer.
    lab = s.cluster()
    lab.namespace("mesh", mesh="enabled")
    app = lab.pod("mesh/app", "node-a")
    foreign = lab.pod("mesh/foreign", "node-b")
    vip4, vip6 = lab.service("mesh/foreign", {"tcp": (8000, 80)})
    lab.nodes["node-a"].agent.start()
    lab.await_enrolled(app)
    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    app.serve_web(80)

    me = issue(lab.ca, f"{lab.folder}/id",
               "spiffe://cluster.local/ns/mesh/sa/foreign")
    client_side(s, lab, foreign, app, me)
    server_side(s, foreign, app, me, vip4, vip6)


def client_side(s, lab, foreign, app, me):
    get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    for address, own in ((app.ip4, foreign.ip4), (app.ip6, foreign.ip6)):
        tunnels = Tunnels(foreign.connect(address, 15008), me)
        authority = f"[{address}]:80" if ":" in address else f"{address}:80"
        s.check("the agent speaks h2", tunnels.tls.selected_alpn_protocol(),
                "h2")
        s.check("and shows the pod's identity", tunnels.peer_identity(),
                ["spiffe://cluster.local/ns/mesh/sa/app"])
        stream = tunnels.connect(authority, headers=[
            ("forwarded", 'for="192.0.2.9:4"'),
            ("baggage", "k8s.namespace.name=other")])
        s.check(f"CONNECT {authority}", stream.status, 200)
        stream.send(get)
        stream.finish()
        body = stream.receive(100000)
        s.check("the application sees the tunnel's own peer",
                body.split()[-1].decode(), own)
        s.that("and the stream ends with END_STREAM", stream.ended)
        streams = [tunnels.connect(authority) for _ in range(50)]
        s.check("50 streams at a time on one connection",
                {each.status for each in streams}, {200})
        for each in streams:
            each.send(get)
        s.check("all answered", {each.receive(12) for each in streams},
                {b"HTTP/1.1 200"})
        tunnels.close()

    sink = app.app("stream", "sink", 81, ready="listening")
    tunnels = Tunnels(foreign.connect(app.ip4, 15008), me)
    stream = tunnels.connect(f"{app.ip4}:81")
    stream.send(bytes(50 << 20))
    stream.finish()
    s.that("50 MB, whole", await_that(
        "the sink has it", lambda: f"received {50 << 20}" in sink.output()))
    tunnels.close()
    listener = app.listen(82)
    tunnels = Tunnels(foreign.connect(app.ip4, 15008), me)
    stream = tunnels.connect(f"{app.ip4}:82")
    one, _ = listener.accept()
    stream.abort()
    try:
        end = one.recv(1)
    except OSError as error:
        end = type(error).__name__
    s.check("RST_STREAM is a reset to the application", end,
            "ConnectionResetError")
    tunnels.close()
    one.close()
    listener.close()


def server_side(s, foreign, app, me, vip4, vip6):
    server = foreign.spawn("node", SERVER, me.key, me.certificate, me.roots)
    await_that("the Node.js peer listens",
               lambda: "listening" in server.output())
    foreign.serve_web(80)
    for url in (f"http://{vip4}:8000/", f"http://[{vip6}]:8000/",
                f"http://{foreign.ip4}/", f"http://[{foreign.ip6}]/"):
        s.check(f"{url} through the Node.js peer", str(app.curl(url)),
                "200, exit 0")
    s.check("its closed port",
            app.curl(f"http://{foreign.ip4}:99/").outcome, "refused")
    s.that("it saw our identity",
           "URI:spiffe://cluster.local/ns/mesh/sa/app" in server.output())
    source = foreign.app("stream", "source", 83, 50 << 20, ready="listening")
    fetch = app.app("stream", "fetch", foreign.ip4, 83)
    fetch.wait(120)
    s.that("50 MB from it, whole", fetch.output().split()[1:] ==
           source.output().splitlines()[-1].split()[1:])
    # It allows 10 streams a connection: further ones need another.
    listener = foreign.listen(84)
    held = []
    for _ in range(30):
        one = app.connect(foreign.ip4, 84)
        other, _ = listener.accept()
        held += [one, other]
    s.that("30 at a time although it allows 10 streams", True)
    for one in held:
        one.close()
    # It goes and comes back.
    server.kill()
    s.check("the peer is gone",
            app.curl(f"http://{vip4}:8000/").outcome, "refused")
    server = foreign.spawn("node", SERVER, me.key, me.certificate, me.roots)
    await_that("it serves again", lambda: app.curl(
        f"http://{vip4}:8000/").code == 200)
    server.kill()

    # One with another's identity must not be spoken to.
    wrong = issue(os.path.dirname(me.roots), os.path.dirname(me.key),
                  "spiffe://cluster.local/ns/mesh/sa/impostor", "impostor")
    server = foreign.spawn("node", SERVER, wrong.key, wrong.certificate,
                           wrong.roots)
    await_that("the impostor listens", lambda: "listening" in server.output())
    s.check("an impostor with a good certificate of another",
            app.curl(f"http://{vip4}:8000/").outcome, "refused")
    s.that("it got no request", "CONNECT" not in server.output())


if __name__ == "__main__":
    main(run)
