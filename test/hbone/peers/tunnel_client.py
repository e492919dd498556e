# SPDX-License-Identifier: Apache-2.0
"""An HBONE client that shares no code with nodeward (Python's ssl and h2)
against the engine's port 15008.

    tunnel_client.py CA_FOLDER FOLDER SOURCE_IP POD_IP PORT SCENARIO

An echo application must serve PORT of the pod. Exit status 0: the scenario
went as it must.
"""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../peers"))
import hbone_client  # noqa: E402
import identity  # noqa: E402

CA, FOLDER, SOURCE, POD, PORT, SCENARIO = sys.argv[1:7]
AUTHORITY = f"{POD}:{PORT}"


def connect(who=None, **options):
    who = who or identity.issue(
        CA, FOLDER, "spiffe://cluster.local/ns/full/sa/client")
    connection = socket.create_connection((POD, 15008), timeout=30,
                                          source_address=(SOURCE, 0))
    return hbone_client.Tunnels(connection, who, **options)


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, wanted {wanted!r}")


def echo(tunnels, text):
    stream = tunnels.connect(AUTHORITY)
    expect("status", stream.status, 200)
    stream.send(text)
    expect("echo", stream.receive(len(text)), text)
    stream.finish()
    expect("end", stream.receive(1), b"")
    expect("reset", stream.reset, None)


def refused(act):
    """`act` must fail by a TLS alert or a closed connection."""
    try:
        act()
    except OSError as error:  # ssl.SSLError is one
        return error
    sys.exit("was not refused")


def scenario_echo():
    tunnels = connect()
    expect("identity", tunnels.peer_identity(),
           ["spiffe://cluster.local/ns/full/sa/server"])
    expect("TLS", tunnels.tls.version(), "TLSv1.3")
    expect("ALPN", tunnels.tls.selected_alpn_protocol(), "h2")
    echo(tunnels, b"hello")
    echo(tunnels, os.urandom(3_000_000))


def scenario_statuses():
    tunnels = connect()
    host = socket.gethostname()
    for authority, status in (
            (f"{POD}:{int(PORT) + 1}", 503),   # nobody listens
            ("127.0.0.1:" + PORT, 400),        # loopback
            ("127.0.9.77:" + PORT, 400),       # another pod
            (f"{host}:{PORT}", 400),           # names
            (f"localhost:{PORT}", 400),
            ("web.full.svc.cluster.local:80", 400),
            (POD, 503),                        # no port
            (f"{POD}:0", 400),
            (f"{POD}:15001", 503), (f"{POD}:15006", 503),
            (f"{POD}:15008", 503),
            (f"{POD}:99999", 400), (f"{POD}:x", 400)):
        stream = tunnels.connect(authority)
        expect(authority, stream.status, status)
    expect("GET", tunnels.connect(AUTHORITY, method="GET").status, 400)
    # What the peer says of the source decides nothing.
    stream = tunnels.connect(AUTHORITY, headers=[
        ("forwarded", 'for="9.9.9.9:1"'),
        ("baggage", "k8s.namespace.name=kube-system")])
    expect("lies", stream.status, 200)
    echo(tunnels, b"and goes on")


def scenario_many():
    tunnels = connect()
    streams = [tunnels.connect(AUTHORITY, wait=False) for _ in range(150)]
    for number, stream in enumerate(streams):
        while stream.status is None:
            tunnels.pump()
        expect("status", stream.status, 200)
        stream.send(b"%d" % number)
    for number, stream in enumerate(streams):
        text = b"%d" % number
        expect("echo", stream.receive(len(text)), text)


def scenario_ping():
    tunnels = connect()
    tunnels.engine.ping(b"12345678")
    tunnels.flush()
    tunnels.pump()
    echo(tunnels, b"after a ping")


def scenario_reset():
    tunnels = connect()
    stream = tunnels.connect(AUTHORITY)
    stream.send(b"x")
    expect("echo", stream.receive(1), b"x")
    stream.abort()
    echo(tunnels, b"another stream")


def scenario_no_certificate():
    who = identity.issue(CA, FOLDER,
                         "spiffe://cluster.local/ns/full/sa/client")
    refused(lambda: echo(connect(Anonymous(who.roots)), b"x"))


class Anonymous:
    """Knows whom to trust and has nothing to show."""

    def __init__(self, roots):
        self.certificate = self.key = None
        self.roots = roots


def scenario_foreign_ca():
    other = identity.other_ca(os.path.join(FOLDER, "other"))
    who = identity.issue(other, FOLDER,
                         "spiffe://cluster.local/ns/full/sa/client", "forged")
    who.roots = f"{CA}/ca.crt"
    refused(lambda: echo(connect(who), b"x"))


def scenario_foreign_domain():
    who = identity.issue(CA, FOLDER, "spiffe://evil.example/ns/full/sa/client",
                         "foreign")
    refused(lambda: echo(connect(who), b"x"))


def scenario_no_alpn():
    refused(lambda: echo(connect(alpn=("http/1.1",)), b"x"))


def scenario_rapid_reset():
    tunnels = connect()

    def attack():
        for _ in range(20_000):
            # Refused before the answer: that is what costs us most.
            stream = tunnels.connect(AUTHORITY, wait=False)
            stream.abort()
        while True:
            tunnels.pump()
    refused(attack)


def scenario_never_reads():
    """Asks an application for more than anybody should hold."""
    tunnels = connect(read_credit=False)
    stream = tunnels.connect(AUTHORITY)
    expect("status", stream.status, 200)
    print("connected", flush=True)
    sys.stdin.read()


if "certificate" in SCENARIO:
    original = hbone_client.ssl.SSLContext.load_cert_chain
    hbone_client.ssl.SSLContext.load_cert_chain = (
        lambda self, certificate, key: certificate and original(
            self, certificate, key))
globals()["scenario_" + SCENARIO]()
