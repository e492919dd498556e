#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The certificate service between us and Istio's own code, in both directions:
its node agent's client asks our CA, its CA signs for our agents."""
import json
import os
import tempfile

from kube import programs

# pylint: disable=wrong-import-order
from harness import Process, await_that, main, policy, run
from harness.authority import Authority
from harness.mesh_authority import put, read

PEER = f"{programs()}/istio-peer"
ADDRESS = "10.89.0.1:15012"
USER = "system:serviceaccount:mesh"
TOKENS = f"token-of-app-0123456789 {USER}:app\n"
NAME = "spiffe://cluster.local/ns/mesh/sa/app"


def cacerts(folder):
    """Istio's folder of a plugged-in CA: root, one between, issuer."""
    os.makedirs(folder)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
        "9", "-subj", "/O=Istio/CN=Root CA", "-keyout", f"{folder}/root.key",
        "-out", f"{folder}/root-cert.pem", "-addext",
        "keyUsage=critical,keyCertSign,cRLSign")
    above = "root.key", "root-cert.pem"
    for name in ("middle", "ca"):
        run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj",
            f"/O=Istio/CN={name}", "-keyout", f"{folder}/{name}-key.pem",
            "-out", f"{folder}/{name}.csr")
        put(f"{folder}/{name}.ext", "basicConstraints=critical,CA:TRUE\n"
            "keyUsage=critical,digitalSignature,keyCertSign,cRLSign\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        run("openssl", "x509", "-req", "-in", f"{folder}/{name}.csr", "-CA",
            f"{folder}/{above[1]}", "-CAkey", f"{folder}/{above[0]}",
            "-set_serial", "0x" + os.urandom(8).hex(), "-days", "9",
            "-extfile", f"{folder}/{name}.ext", "-out",
            f"{folder}/{name}-cert.pem")
        above = f"{name}-key.pem", f"{name}-cert.pem"
    put(f"{folder}/cert-chain.pem", read(f"{folder}/ca-cert.pem"),
        read(f"{folder}/middle-cert.pem"))
    for name in ("middle", "root"):
        for kind in (".key", "-key.pem"):
            if os.path.exists(f"{folder}/{name}{kind}"):
                os.unlink(f"{folder}/{name}{kind}")
    os.chmod(f"{folder}/ca-key.pem", 0o600)
    return folder


def asks_us(s, folder):
    """Istio's client at our CA, whose issuer lies as Istio has it."""
    os.makedirs(folder)
    cacerts(f"{folder}/issuer")
    ca = Authority(s.binary, folder, TOKENS)
    try:
        def ask(token, name, seconds, key):
            return run(PEER, "ask", ca.address, f"{folder}/issuer/root-cert.pem",
                       token, name, seconds, key, check=False)
        for key in ("rsa", "ec"):
            done = ask("token-of-app-0123456789", NAME, 3600, key)
            chain = json.loads(done.stdout) if not done.returncode else []
            s.check(f"Istio's agent gets its certificate ({key})",
                    (done.returncode, done.stderr.strip()[-300:]), (0, ""))
            s.check("leaf, issuer, the one between, root", [
                each.count("BEGIN CERTIFICATE") for each in chain],
                [1, 1, 1, 1])
        s.that("for another name: the words reach it", "did not match" in ask(
            "token-of-app-0123456789", NAME + "2", 3600, "ec").stderr)
        s.that("without a good token", "Unauthenticated" in ask(
            "token-of-nobody-0123456789", NAME, 3600, "ec").stderr)
        s.check("our CA ends in order", ca.stop(), 0)
    except Exception:
        print(ca.log()[-3000:])
        raise
    finally:
        ca.process.kill()


def signs_for_us(s, layout):
    """Our agents at Istio's CA."""
    lab = s.trio(start=False)
    folder = cacerts(f"{lab.folder}/cacerts")
    put(f"{lab.folder}/istio-tokens", *(
        f"token-of-{node}\n" for node in lab.nodes))
    node = lab.nodes["node-a"]
    peer = serving(lab, node, PEER, "serve", ADDRESS, folder,
                       f"{lab.folder}/istio-tokens", layout)
    for agent in lab.agents():
        token = f"{lab.folder}/token-{agent.node.name}"
        put(token, f"token-of-{agent.node.name}\n")
        agent.config["ca"] = {"address": ADDRESS, "token": token,
                              "roots": f"{folder}/root-cert.pem"}
    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    lab.server.serve_web(80)
    url = f"http://{lab.vip4}:8000/"
    s.check(f"{layout}: through the mesh", str(lab.client.curl(url)),
            "200, exit 0")
    s.check(f"{layout}: and not beside it", str(lab.legacy.curl(
        f"http://{lab.server.ip4}/")), "000, exit 56")
    shown = lab.client.node.agent.command(
        "certs", "show", "mesh/client").stdout
    s.check(f"{layout}: the chain", shown.count("BEGIN CERTIFICATE"), 3)
    put(f"{lab.folder}/shown.pem", shown)
    s.check(f"{layout}: openssl verifies it", run(
        "openssl", "verify", "-CAfile", f"{folder}/root-cert.pem",
        "-untrusted", f"{lab.folder}/shown.pem", f"{lab.folder}/shown.pem",
        check=False).returncode, 0)
    s.that(f"{layout}: check takes it", "√ data plane proxies certificate "
           "match CA" in lab.client.node.agent.command("check").stdout)
    s.that(f"{layout}: it was asked as for others", "signed spiffe://"
           "cluster.local/ns/mesh/sa/client" in peer.output())
    peer.kill()
    lab.close()


def serving(lab, node, *words):
    process = Process(node.enter(*words), f"{lab.folder}/istio.log")
    await_that("Istio's CA serves", lambda: "serving" in process.output()
               or not process.running())
    if not process.running():
        raise RuntimeError(process.output())
    return process


def scenario(s):
    with tempfile.TemporaryDirectory(prefix="nodeward-istio-") as folder:
        asks_us(s, f"{folder}/ours")
    for layout in ("each", "joined"):
        signs_for_us(s, layout)


if __name__ == "__main__":
    main(scenario)
