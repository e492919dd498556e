# SPDX-License-Identifier: Apache-2.0
"""A server outside of the mesh that wants client certificates: the agent reads
the Secret with them once tlsFiles names it, and no other."""
import base64
import json

from harness.process import await_that, run
from mesh import SYSTEM, account, deployment

ONLY_WITH_ALL = True
HOST = "api.vault.svc.cluster.local"
URL = "http://api.vault:8443/headers"
FILES = [{"namespace": "files", "secrets": ["client-cert"], "configMaps": []}]


def certificates(folder):
    """A root, a server's and a client's pair in a new folder."""
    run("mkdir", "-p", folder)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("openssl", "req", "-x509", *key, "-keyout", f"{folder}/ca.key", "-out",
        f"{folder}/ca.crt", "-subj", "/CN=vault", "-days", "2")
    for name, subject, san in (("server", "/CN=api", f"DNS:{HOST}"),
                               ("client", "/CN=client", "DNS:client")):
        run("openssl", "req", "-new", *key, "-keyout", f"{folder}/{name}.key",
            "-out", f"{folder}/{name}.csr", "-subj", subject)
        with open(f"{folder}/{name}.ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={san}\n")
        run("openssl", "x509", "-req", "-in", f"{folder}/{name}.csr", "-CA",
            f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key", "-CAcreateserial",
            "-out", f"{folder}/{name}.crt", "-days", "1", "-extfile",
            f"{folder}/{name}.ext")


def secret(folder, name, namespace, pair):
    data = {}
    for key, file in (("tls.crt", f"{pair}.crt"), ("tls.key", f"{pair}.key"),
                      ("ca.crt", "ca.crt")):
        with open(f"{folder}/{file}", "rb") as content:
            data[key] = base64.b64encode(content.read()).decode()
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": namespace}, "data": data}


def prepare(mesh):
    cluster = mesh.cluster
    folder = f"{cluster.folder}/vault"
    certificates(folder)
    mesh.namespace("vault")
    mesh.namespace("files", **{"nodeward.io/mesh": "enabled"})
    cluster.apply(
        account("api", "vault"), secret(folder, "server", "vault", "server"),
        {"apiVersion": "v1", "kind": "Service",
         "metadata": {"name": "api", "namespace": "vault"},
         "spec": {"selector": {"app": "api"}, "ports": [
             {"name": "tcp", "port": 8443, "targetPort": 8443}]}},
        deployment("api", "vault", "localhost/httpbin:1", "node-b", pod={
            "volumes": [{"name": "tls", "secret": {"secretName": "server"}}]},
            command=["/usr/bin/python3", "-m", "gunicorn",
                     "--worker-tmp-dir=/dev/shm", "-b", "0.0.0.0:8443",
                     "--certfile=/tls/tls.crt", "--keyfile=/tls/tls.key",
                     "--ca-certs=/tls/ca.crt", "--cert-reqs=2", "httpbin:app"],
            volumeMounts=[{"name": "tls", "mountPath": "/tls"}]),
        secret(folder, "client-cert", "files", "client"),
        {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
         "metadata": {"name": "vault", "namespace": "files"},
         "spec": {"host": HOST, "trafficPolicy": {"tls": {
             "mode": "MUTUAL", "credentialName": "client-cert"}}}})
    mesh.sleep("files", node="node-a")
    cluster.await_pods("vault", "app=api")
    cluster.await_pods("files", "app=sleep")
    mesh.await_state("files", "sleep", "enrolled")


def scenario(s, mesh):
    cluster = mesh.cluster
    mesh.ready()
    prepare(mesh)
    missing = ("tlsFiles: [{namespace: files, secrets: [client-cert], "
               "configMaps: []}]")
    await_that("status says what is missing", lambda: missing in mesh.ask(
        "node-a", "status").stdout, 60, 0.5)
    s.that("status says what is missing", True)
    s.check("without it", mesh.outcome("files", "sleep", URL), "refused")
    before = mesh.agent("node-a")
    cluster.helm("upgrade", "nodeward", mesh.chart, "-n", SYSTEM,
                 *mesh.settings, "--set-json", f"tlsFiles={json.dumps(FILES)}")
    await_that("the Secret is read", lambda: mesh.outcome(
        "files", "sleep", URL) == "200", 90, 0.5)
    s.check("with it", mesh.outcome("files", "sleep", URL), "200")
    s.check("no agent was restarted for it", mesh.agent("node-a"), before)
    s.that("and status is content",
           missing not in mesh.ask("node-a", "status").stdout)

    def may(*words):
        return cluster.kubectl(
            "auth", "can-i", *words,
            f"--as=system:serviceaccount:{SYSTEM}:nodeward-agent",
            check=False).stdout.strip()
    s.check("may the agent read that one", may(
        "get", "secrets/client-cert", "-n", "files"), "yes")
    for words in (("get", "secrets/other", "-n", "files"),
                  ("list", "secrets", "-n", "files"),
                  ("update", "secrets/client-cert", "-n", "files"),
                  ("get", "secrets/client-cert", "-n", "vault")):
        s.check(f"may it {' '.join(words)}", may(*words), "no")
    # Another pair, of a root that the server does not know.
    folder = f"{cluster.folder}/vault-other"
    certificates(folder)
    cluster.apply(secret(folder, "client-cert", "files", "client"))
    await_that("a new Secret counts for the next connection",
               lambda: mesh.outcome("files", "sleep", URL) != "200", 60, 0.5)
    cluster.apply(secret(f"{cluster.folder}/vault", "client-cert", "files",
                         "client"))
    await_that("and the right one again", lambda: mesh.outcome(
        "files", "sleep", URL) == "200", 60, 0.5)
    s.that("a changed Secret counts without a restart", True)
