#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A database that wants client certificates and a client that knows of none:
FerretDB and pymongo, both as published, and a DestinationRule between them.
Certificates are made by hand, with X.509 v1 leaves that outlive their CA."""
import json
import os

from kube import programs

# pylint: disable=wrong-import-order
from harness import await_that, main
from harness.mongo_certificates import MongoCertificates

SERVER = f"{programs()}/ferretdb"
CLIENT = """
import sys, pymongo
number, patience, *options = sys.argv[1:]
options = {key: value == "True" or value for key, value in
           (option.split("=") for option in options)}
try:
    client = pymongo.MongoClient("mongodb://mongo.mongo:27017/", **options,
        serverSelectionTimeoutMS=int(patience))
    assert client.admin.command("ping")["ok"] == 1.0
    items = client.test.items
    items.insert_one({"_id": number, "value": 7})
    print("found", items.find_one({"_id": number})["value"])
except pymongo.errors.PyMongoError as error:
    print("failed:", str(error).split(", Timeout")[0])
"""
FILES = {"clientCertificate": "/pem/client.pem", "privateKey": "/pem/client.key",
         "caCertificates": "/pem/ca.pem"}
FOUND = "found 7"
# What a client reads of a server or an agent that breaks off.
BROKEN_OFF = "closed", "reset", "alert", "verify failed", "private key"


def rule(mode="MUTUAL", **tls):
    return {"apiVersion": "networking.istio.io/v1alpha3",
            "kind": "DestinationRule",
            "metadata": {"name": "db-mtls", "namespace": "mtls-test"},
            "spec": {"host": "mongo.mongo.svc.cluster.local", "trafficPolicy": {
                "tls": {"mode": mode, **FILES, **tls}}}}


def config_map(files):
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "mongo-client-pem", "namespace": "mtls-test"},
            "data": files}


def run(s):
    lab = s.cluster(dns=True)
    lab.right = MongoCertificates(f"{lab.folder}/certificates")
    lab.other = MongoCertificates(f"{lab.folder}/other")
    lab.numbers = iter(range(1000))
    lab.namespace("mtls-test", mesh="enabled")
    lab.namespace("mongo")
    lab.mongo = lab.pod("mongo/mongo", "node-b", ports={"mongo": 27017})
    lab.outside = lab.pod("mongo/client", "node-a")
    lab.client = lab.pod("mtls-test/mongo-client", "node-a")
    lab.publish(lab.client, metadata={"annotations": {
        **lab.client.object["metadata"]["annotations"],
        "sidecar.istio.io/userVolume": json.dumps(
            [{"name": "client-ssl", "configMap": {
                "name": "mongo-client-pem"}}]),
        "sidecar.istio.io/userVolumeMount": json.dumps(
            [{"name": "client-ssl", "mountPath": "/pem"}])}})
    lab.service("mongo/mongo", {"mongo": (27017, 27017)}, headless=True)
    start_server(lab)
    lab.start_agents()
    lab.await_enrolled(lab.client)
    without_mesh(s, lab)
    with_the_rule(s, lab)
    what_is_wrong(s, lab)


def start_server(lab):
    os.makedirs(f"{lab.folder}/items")
    server = lab.mongo.spawn(SERVER, ":27017", lab.right.path("server.pem"),
                             lab.right.path("ca.pem"), f"{lab.folder}/items")
    await_that("FerretDB listens", lambda: "Listening on TLS" in server.output()
               or not server.running(), 60)
    if not server.running():
        raise RuntimeError(f"ferretdb: {server.output()}")


def ask(lab, pod=None, wanted=FOUND, **options):
    """What one run of the client prints; patient if it is to find."""
    done = (pod or lab.client).run(
        "/usr/bin/python3", "-c", CLIENT, str(next(lab.numbers)),
        "30000" if wanted == FOUND else "600",
        *(f"{key}={value}" for key, value in options.items()),
        check=False, timeout=60)
    return (done.stdout or done.stderr).strip()


def fails(answer):
    return answer.startswith("failed:") and any(
        one in answer.lower() for one in BROKEN_OFF)


def becomes(s, lab, what, wanted, **how):
    def there():
        answer = ask(lab, wanted=wanted, **how)
        return answer if (answer == wanted or
                          wanted != FOUND and fails(answer)) else None
    try:
        answer = await_that(what, there, 60)
    except TimeoutError:
        answer = ask(lab, wanted=wanted, **how)
    if wanted == FOUND:
        s.check(what, answer, FOUND)
    else:
        s.that(f"{what}: {answer}", fails(answer))


def without_mesh(s, lab):
    """The application carries keys itself."""
    def tls(ca="ca.pem", pem="client.pem"):
        right = lab.right.path
        # No name of the server's is in its certificate.
        return {"tls": True, "tlsAllowInvalidHostnames": True,
                "tlsCAFile": right(ca), "tlsCertificateKeyFile": right(pem)}

    s.check("a client with its own certificate",
            ask(lab, lab.outside, **tls()), FOUND)
    for what, options in (("without TLS", {}),
                          ("the key file is ca.pem", tls(pem="ca.pem")),
                          ("the CA file is client.pem", tls(ca="client.pem"))):
        becomes(s, lab, what, "failed", pod=lab.outside, **options)


def with_the_rule(s, lab):
    becomes(s, lab, "in the mesh, without a rule", "failed")
    lab.good = {"client.pem": lab.right.read("client.pem"),
                "ca.pem": lab.right.read("ca.pem")}
    lab.apply("pem.yaml", config_map(lab.good))
    lab.apply("rule.yaml", rule())
    becomes(s, lab, "with the rule: ping, insert, find", FOUND)
    s.that("edges say how", await_that("the edge", lambda: (
        "TLS by DestinationRule" in (
            lab.client.node.agent.edge(lab.client, lab.mongo) or ""))))


def what_is_wrong(s, lab):
    other = lab.other.read
    rows = (
        ("another CA", {"ca.pem": other("ca.pem")}, rule()),
        ("the CA file is client.pem", {}, rule(
            caCertificates="/pem/client.pem")),
        ("the key file is ca.pem", {}, rule(privateKey="/pem/ca.pem")),
        ("another CA's client", {"client.pem": other("client.pem")}, rule()),
        ("another's key", {"client.key": other("client.key")}, rule()),
        ("no certificate", {}, {**rule(), "spec": {
            "host": "mongo.mongo.svc.cluster.local", "trafficPolicy": {"tls": {
                "mode": "SIMPLE", "caCertificates": "/pem/ca.pem"}}}}),
    )
    log = lab.client.node.agent.log
    for number, (what, files, wrong) in enumerate(rows):
        # Else a pair that does not fit would leave the former one in use.
        lab.remove("rule.yaml")
        becomes(s, lab, "no rule", "failed")
        lab.apply("pem.yaml", config_map({**lab.good, **files}))
        wrong["metadata"]["name"] = f"wrong-{number}"
        lab.apply("rule.yaml", wrong)
        await_that(f"{what}: refused by that rule", lambda name=number: fails(
            ask(lab, wanted="failed")) and f"mtls-test/wrong-{name}" in log())
        becomes(s, lab, what, "failed")
    lab.apply("pem.yaml", config_map(lab.good))
    lab.apply("rule.yaml", rule())
    becomes(s, lab, "mended", FOUND)
    lab.remove("rule.yaml")
    becomes(s, lab, "the rule removed", "failed")


if __name__ == "__main__":
    main(run)
