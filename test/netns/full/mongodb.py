#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A database that wants client certificates and a client that knows of none:
FerretDB and pymongo, both as published, and a DestinationRule between them.

Builds the server from its Go module once, into $NODEWARD_PEERS (default
/var/cache/nodeward-peers), and makes a virtual environment for the client
there; needs go, python3-venv and the package registries.
"""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))
# pylint: disable=wrong-import-position
from harness import await_that, main  # noqa: E402
from harness.mongo_certificates import MongoCertificates  # noqa: E402

PEERS = os.environ.get("NODEWARD_PEERS", "/var/cache/nodeward-peers")
SERVER = "github.com/FerretDB/FerretDB@v1.24.0"
CLIENT = "pymongo==4.10.1"
SCRIPT = """
import sys, pymongo
client = pymongo.MongoClient("mongodb://mongo.mongo:27017/",
                             directConnection=True,
                             serverSelectionTimeoutMS=4000)
try:
    assert client.admin.command("ping")["ok"] == 1.0
    items = client.test.items
    items.insert_one({"_id": sys.argv[1], "value": 7})
    print("found", items.find_one({"_id": sys.argv[1]})["value"])
except pymongo.errors.PyMongoError as error:
    print("failed", type(error).__name__, str(error)[:120])
"""


def peers():
    """(the server's program, the client's Python)."""
    os.makedirs(PEERS, exist_ok=True)
    server, python = f"{PEERS}/ferretdb", f"{PEERS}/venv/bin/python"
    if not os.path.exists(server):
        told = subprocess.run(["go", "mod", "download", "-json", SERVER],
                              check=True, capture_output=True, text=True,
                              cwd=PEERS, env={**os.environ, "GO111MODULE":
                                              "on"})
        source = f"{PEERS}/source"
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(json.loads(told.stdout)["Dir"], source)
        subprocess.run(["chmod", "-R", "u+w", source], check=True)
        subprocess.run(["go", "build", "-o", server, "./cmd/ferretdb"],
                       check=True, cwd=source)
        shutil.rmtree(source)
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", f"{PEERS}/venv"],
                       check=True)
    if subprocess.run([python, "-c", "import pymongo"], check=False,
                      capture_output=True).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "-q", CLIENT],
                       check=True)
    return server, python


def run(s):
    server, python = peers()
    lab = s.cluster(dns=True)
    right = MongoCertificates(f"{lab.folder}/certificates")
    other = MongoCertificates(f"{lab.folder}/other")
    lab.namespace("mtls-test", mesh="enabled")
    lab.namespace("mongo")
    mongo = lab.pod("mongo/mongo", "node-b", ports={"mongo": 27017})
    client = lab.pod("mtls-test/mongo-client", "node-a")
    lab.publish(client, metadata={"annotations": {
        **client.object["metadata"]["annotations"],
        "sidecar.istio.io/userVolume": json.dumps(
            [{"name": "client-ssl", "configMap": {
                "name": "mongo-client-pem"}}]),
        "sidecar.istio.io/userVolumeMount": json.dumps(
            [{"name": "client-ssl", "mountPath": "/pem"}])}})
    lab.service("mongo/mongo", {"mongo": (27017, 27017)}, headless=True)
    state = f"{lab.folder}/ferretdb"
    os.makedirs(state)
    process = mongo.spawn(
        server, "--handler=sqlite", f"--sqlite-url=file:{state}/",
        f"--state-dir={state}", "--telemetry=disable", "--listen-addr=",
        "--debug-addr=-", "--listen-tls=0.0.0.0:27017",
        f"--listen-tls-cert-file={right.path('server.pem')}",
        f"--listen-tls-key-file={right.path('server.key')}",
        f"--listen-tls-ca-file={right.path('ca.pem')}")
    lab.start_agents()
    lab.await_enrolled(client)

    def listens():
        if not process.running():
            raise RuntimeError(process.output())
        with mongo.open_socket() as one:
            return one.connect_ex((mongo.ip4, 27017)) == 0
    await_that("the server listens", listens, 60)
    numbers = iter(range(100))

    def ask():
        done = client.run(python, "-c", SCRIPT, str(next(numbers)),
                          check=False, timeout=60)
        return done.stdout.strip() or done.stderr[-300:]

    def give(**files):
        lab.apply("pem.yaml", {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                "name": "mongo-client-pem", "namespace": "mtls-test"},
            "data": {name.replace("_", "."): text
                     for name, text in files.items()}})

    def becomes(what, wanted):
        try:
            await_that(what, lambda: ask().startswith(wanted), 40)
        except TimeoutError:
            pass
        answer = ask()
        s.note(answer)
        s.that(what, answer.startswith(wanted))

    becomes("without a rule", "failed")
    client_pem, ca_pem = right.read("client.pem"), right.read("ca.pem")
    give(client_pem=client_pem, ca_pem=other.read("ca.pem"))
    lab.apply("rule.yaml", {
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "DestinationRule",
        "metadata": {"name": "db-mtls", "namespace": "mtls-test"},
        "spec": {"host": "mongo.mongo.svc.cluster.local", "trafficPolicy": {
            "tls": {"mode": "MUTUAL", "clientCertificate": "/pem/client.pem",
                    "privateKey": "/pem/client.key",
                    "caCertificates": "/pem/ca.pem"}}}})
    becomes("another CA", "failed")
    give(client_pem=other.read("client.pem"), ca_pem=ca_pem)
    becomes("another CA's client", "failed")
    give(client_pem=client_pem, ca_pem=ca_pem)
    becomes("with the rule: ping, insert, find", "found 7")
    s.that("edges say how", "TLS by DestinationRule" in (
        client.node.agent.edge(client, mongo) or ""))
    lab.remove("rule.yaml")
    becomes("without it again", "failed")


if __name__ == "__main__":
    main(run)
