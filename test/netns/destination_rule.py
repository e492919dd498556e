#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A DestinationRule gives a pod's plaintext connections TLS with certificates
that the pod never sees: to a server outside of the mesh that wants a client
certificate, behind a headless Service and behind one with a ClusterIP. What
cannot be read refuses; files are exchanged without a restart."""
import json

from harness import await_that, main
from harness.mongo_certificates import MongoCertificates

HOST = "mongo.mongo.svc.cluster.local"
FILES = {"clientCertificate": "/pem/client.pem", "privateKey": "/pem/client.key",
         "caCertificates": "/pem/ca.pem"}
HELLO = "TLSv1.3 CN client 11111@qq.com None"
REFUSED = "refused"
PLAIN = "closed by the server"


def rule(host=HOST, name="db-mtls", namespace="mtls-test", **tls):
    return {"apiVersion": "networking.istio.io/v1alpha3",
            "kind": "DestinationRule",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"host": host, "trafficPolicy": {
                "tls": {"mode": "MUTUAL", **FILES, **tls}}}}


def config_map(files, name="mongo-client-pem"):
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "mtls-test"}, "data": files}


def run(s):
    lab = s.cluster()
    lab.certificates = MongoCertificates(f"{lab.folder}/certificates")
    other = MongoCertificates(f"{lab.folder}/other")
    read = lab.certificates.read
    lab.good = {"client.pem": read("client.pem"), "ca.pem": read("ca.pem")}
    lab.namespace("mtls-test", mesh="enabled")
    lab.namespace("mongo")
    lab.mongo = lab.pod("mongo/mongo", "node-b", ports={"mongo": 27017})
    lab.old = lab.pod("mongo/old", "node-b", ports={"mongo": 27017})
    lab.client = lab.pod("mtls-test/client", "node-a")
    lab.publish(lab.client, metadata={"annotations": {
        **lab.client.object["metadata"]["annotations"],
        "sidecar.istio.io/userVolume": json.dumps(
            [{"name": "client-ssl", "configMap": {"name": "mongo-client-pem"}},
             {"name": "host", "hostPath": {"path": lab.certificates.folder}}]),
        "sidecar.istio.io/userVolumeMount": json.dumps(
            [{"name": "client-ssl", "mountPath": "/pem"},
             {"name": "host", "mountPath": "/host"}])}})
    lab.service("mongo/mongo", {"mongo": (27017, 27017)}, headless=True)
    lab.vip, _ = lab.service("mongo/old", {"mongo": (27000, 27017)})
    for pod, options in ((lab.mongo, ()), (lab.old, ("--tls12",))):
        pod.app("tls_server", 27017, lab.certificates.path("server.pem"),
                lab.certificates.path("ca.pem"), *options, ready="listening")
    lab.start_agents()
    lab.await_enrolled(lab.client)
    s.check("without a rule", ask(lab), PLAIN)
    lab.apply("pem.yaml", config_map(lab.good))
    with_the_rule(s, lab)
    open_connections(s, lab)
    what_is_wrong(s, lab, other)
    rotation(s, lab, other)
    secret(s, lab)


def ask(lab, address=None, port=27017, text=b"hello"):
    """What a client without TLS gets: the server's greeting; PLAIN if its five
    bytes reached the server, which reads as many as a record's header has and
    then closes; REFUSED if the agent has reset it."""
    got = b""
    try:
        one = lab.client.connect(address or lab.mongo.ip4, port)
    except ConnectionResetError:  # the reset may be quicker than connect()
        return REFUSED
    with one:
        try:
            one.sendall(text)
            while not got.endswith(text):
                data = one.recv(4096)
                if not data:
                    break
                got += data
        except ConnectionResetError:
            if not got:
                return REFUSED
    if not got or got.startswith(b"\x15\x03"):  # an alert
        return PLAIN
    return got.decode().split("\n")[0]


def becomes(s, lab, what, wanted, **where):
    try:
        await_that(what, lambda: ask(lab, **where) == wanted, 20)
    except TimeoutError:
        pass
    s.check(what, ask(lab, **where), wanted)


def problem(lab):
    """What status says of rules."""
    return "\n".join(one["reason"] for one in
                     lab.client.node.agent.status_json()["problems"]
                     if one["object"].startswith("DestinationRule"))


def with_the_rule(s, lab):
    lab.apply("rule.yaml", rule())
    becomes(s, lab, "a headless service", HELLO)
    s.that("status tells of the missing file: " + problem(lab),
           "/pem/client.key: ConfigMap mtls-test/mongo-client-pem has no such "
           "file; the key in /pem/client.pem is used" in problem(lab))
    s.check("that closes nothing", lab.client.node.agent.status().returncode,
            0)
    s.that("edges say how", await_that("the edge", lambda: "TLS by "
           "DestinationRule" in (lab.client.node.agent.edge(
               lab.client, lab.mongo) or "")))
    lab.apply("old.yaml", rule("old.mongo.svc.cluster.local", "old"))
    becomes(s, lab, "a ClusterIP, TLS 1.2", HELLO.replace("1.3", "1.2"),
            address=lab.vip, port=27000)
    # The same files of the same pod: what keeps them would keep them below.
    lab.remove("old.yaml")


def open_connections(s, lab):
    """A rule that wants other TLS closes what was opened by the former."""
    with lab.client.connect(lab.mongo.ip4, 27017) as one:
        one.sendall(b"x")
        s.that("open", heard(one, b"x"))
        lab.apply("rule.yaml", rule(sni="db.example.org"))
        s.check("closed by the change", ending(one), "reset")
    becomes(s, lab, "a name that the certificate has not", REFUSED)
    s.that("the log names it", await_that("logged", lambda: (
        "is not for db.example.org" in lab.client.node.agent.log())))
    lab.apply("rule.yaml", rule())
    becomes(s, lab, "mended", HELLO)


def what_is_wrong(s, lab, other):
    """Each is refused, and both status and log say why."""
    rows = (
        ("another CA", {}, {"ca.pem": other.read("ca.pem")}, "",
         "verify server certificate"),
        ("the CA file is the client's", {"caCertificates": "/pem/client.pem"},
         {}, "", "verify server certificate"),
        ("another CA's client", {}, {"client.pem": other.read("client.pem")},
         "", "outcome="),
        ("another key", {}, {"client.key": other.read("client.key")},
         "is not that of the certificate", ""),
        ("no key in the file", {"privateKey": "/pem/ca.pem"}, {},
         "/pem/ca.pem: read private key", ""),
        ("a key with a passphrase", {}, {"client.key": lab.certificates.read(
            "privkey.pem")}, "it is encrypted", ""),
        ("no such file", {"caCertificates": "/pem/no.pem"}, {},
         "/pem/no.pem: ConfigMap mtls-test/mongo-client-pem has no such file",
         ""),
        ("outside of the volumes", {"caCertificates": "/etc/passwd"}, {},
         "no volume of pod mtls-test/client is mounted there", ""),
        ("upwards", {"caCertificates": "/pem/../pem/ca.pem"}, {},
         "must be an absolute path without", ""),
        ("a hostPath", {"caCertificates": "/host/ca.pem"}, {},
         "volume host is of kind hostPath", ""),
    )
    agent = lab.client.node.agent
    for number, (what, tls, files, told, logged) in enumerate(rows):
        name = f"wrong-{number}"
        lab.remove("rule.yaml")
        await_that("no rule", lambda: ask(lab) == PLAIN)
        lab.apply("pem.yaml", config_map({**lab.good, **files}))
        lab.apply("rule.yaml", rule(name=name, **tls))
        becomes(s, lab, what, REFUSED)
        if told:
            s.that("status tells: " + problem(lab), told in problem(lab))
            s.check("and is not well", agent.status().returncode, 1)
        if logged:
            s.that("the log tells", await_that("logged", lambda want=logged,
                   who=name: any(want in line and who in line
                                 for line in agent.log().splitlines())))
    done = agent.command("edges", "-o", "json").stdout
    s.that("edges keep the reason", "last_refusal" in done and
           "volume host is of kind hostPath" in done)
    lab.apply("pem.yaml", config_map(lab.good))
    lab.apply("rule.yaml", {**rule(), "spec": {
        "host": HOST, "trafficPolicy": {"tls": {"mode": "MUTUALL"}}}})
    becomes(s, lab, "a rule that was never good", REFUSED)
    lab.apply("rule.yaml", rule())
    becomes(s, lab, "mended", HELLO)
    lab.apply("rule.yaml", {**rule(), "spec": {
        "host": HOST, "trafficPolicy": {"tls": {"mode": "MUTUALL"}}}})
    await_that("status tells", lambda: "last good" in problem(lab))
    s.check("a rule that breaks stays as it was", ask(lab), HELLO)
    lab.apply("rule.yaml", rule())


def rotation(s, lab, other):
    """A pair that does not fit keeps the old one; one that does is used by the
    next connection, and those that are open go on."""
    await_that("in force", lambda: ask(lab) == HELLO)
    one = lab.client.connect(lab.mongo.ip4, 27017)
    one.sendall(b"a")
    s.that("open before", heard(one, b"a"))
    mixed = {**lab.good, "client.key": other.read("client.key")}
    lab.apply("pem.yaml", config_map(mixed))
    await_that("status tells", lambda: "stays in use" in problem(lab))
    s.check("a pair that does not fit", ask(lab), HELLO)
    lab.apply("pem.yaml", config_map(
        {**lab.good, "client.pem": other.read("client.pem")}))
    becomes(s, lab, "a pair of another CA", REFUSED)
    lab.apply("pem.yaml", config_map(lab.good))
    becomes(s, lab, "and back", HELLO)
    one.sendall(b"b")
    s.that("what was open goes on", heard(one, b"b"))
    one.close()


def secret(s, lab):
    """credentialName: a Secret of the client's namespace."""
    lab.apply("secret.yaml", {
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "db", "namespace": "mtls-test"},
        "stringData": {"tls.crt": lab.certificates.read("client.crt"),
                       "tls.key": lab.certificates.read("client.key"),
                       "ca.crt": lab.certificates.read("ca.pem")}})
    lab.apply("rule.yaml", {**rule(), "spec": {
        "host": HOST, "trafficPolicy": {
            "tls": {"mode": "MUTUAL", "credentialName": "db"}}}})
    becomes(s, lab, "a Secret", HELLO)
    lab.apply("rule.yaml", {**rule(), "spec": {
        "host": HOST, "trafficPolicy": {
            "tls": {"mode": "MUTUAL", "credentialName": "nobody"}}}})
    becomes(s, lab, "a Secret that is not there", REFUSED)
    s.that("status tells", "there is no Secret mtls-test/nobody"
           in problem(lab))
    lab.remove("rule.yaml")
    becomes(s, lab, "no rule again", PLAIN)


def heard(connection, wanted):
    """Reads up to `wanted`, behind the greeting; what came before the end."""
    data = b""
    while not data.endswith(wanted):
        more = connection.recv(100)
        if not more:
            return b""
        data += more
    return data


def ending(connection):
    """How a connection ended: "reset", "end of stream", or what it said."""
    try:
        data = connection.recv(100)
        return "end of stream" if not data else data
    except ConnectionResetError:
        return "reset"


if __name__ == "__main__":
    main(run)
