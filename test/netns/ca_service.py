#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The CA's service, asked by a client that is not ours: who gets what."""
import os
import random
import re
import shutil
import tempfile

from harness import main, run
from harness.authority import Authority, new_csr
from harness.manifest import namespace, pod, to_yaml
from peers.ca_client import CaClient

AGENT = "nodeward-system/nodeward-agent"
USER = "system:serviceaccount:"


def spiffe(account, ns="mesh", domain="cluster.local"):
    return f"spiffe://{domain}/ns/{ns}/sa/{account}"


def manifests(folder):
    """node-a: on-a, left, host, done; node-b: on-b; an agent on each."""
    def of(name, node, ns="mesh", **change):
        made = pod(name, ns, f"uid-{name}", {}, node, name,
                   [f"10.9.0.{len(objects) + 1}"], "none", {}, {})
        for key, value in change.items():
            made[key].update(value)
        objects.append(made)
        return made
    objects = [namespace("mesh", {"nodeward.io/mesh": "enabled"}),
               namespace("nodeward-system", {})]
    of("on-a", "node-a")
    of("on-b", "node-b")
    of("left", "node-a")["metadata"]["labels"] = {"nodeward.io/mesh":
                                                  "disabled"}
    of("host", "node-a", spec={"hostNetwork": True,
                               "serviceAccountName": "host",
                               "nodeName": "node-a", "containers": []})
    of("done", "node-a", status={"phase": "Succeeded"})
    of("agent-a", "node-a", ns="nodeward-system")["spec"][
        "serviceAccountName"] = "nodeward-agent"
    os.mkdir(folder)
    with open(f"{folder}/all.yaml", "w", encoding="utf-8") as file:
        file.write("\n---\n".join(map(to_yaml, objects)))
    return folder


TOKENS = f"""
# token                    user                    claims
own-token-0123456789       {USER}mesh:on-a
agent-a-token-0123456789   {USER}{AGENT.replace("/", ":")}   node=node-a
claimless-token-0123456789 {USER}{AGENT.replace("/", ":")}
pod-token-0123456789       {USER}{AGENT.replace("/", ":")}   pod=agent-a uid=uid-agent-a
olduid-token-0123456789    {USER}{AGENT.replace("/", ":")}   pod=agent-a uid=uid-before
other-token-0123456789     {USER}mesh:other        node=node-a
"""


def openssl_judges(s, folder, chain, roots):
    for name, text in (("leaf", chain[0]), ("middle", chain[1])):
        with open(f"{folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    for purpose in ("sslserver", "sslclient"):
        s.check(f"openssl verifies it as {purpose}", run(
            "openssl", "verify", "-x509_strict", "-purpose", purpose,
            "-CAfile", roots, "-untrusted", f"{folder}/middle",
            f"{folder}/leaf", check=False).stdout.strip(),
            f"{folder}/leaf: OK")
    text = run("openssl", "x509", "-noout", "-text", "-in",
               f"{folder}/leaf").stdout
    for what, pattern in (
            ("version 3", r"Version: 3 \(0x2\)"),
            ("empty subject", r"Subject: *\n"),
            ("SAN", r"Alternative Name: critical\n *URI:"
             + re.escape(spiffe("on-a")) + "\n"),
            ("key usage", r"Key Usage: critical\n *Digital Signature, "
             r"Key Encipherment\n"),
            ("purposes", "TLS Web Server Authentication, "
             "TLS Web Client Authentication"),
            ("no CA", r"Constraints: critical\n *CA:FALSE"),
            ("serial of up to 128 bits", r"Serial Number:\n *"
             r"([0-9a-f]{2}:){11,16}[0-9a-f]{2}\n")):
        s.that(f"x509: {what}", re.search(pattern, text))


def age(pem):
    """(seconds since notBefore, seconds to notAfter), by openssl."""
    dates = run("sh", "-c", "openssl x509 -noout -dates -dateopt iso_8601 | "
                "cut -d= -f2 | while read d; do date -d \"$d\" +%s; done; "
                "date +%s", stdin=pem).stdout.split()
    begin, end, now = map(int, dates)
    return now - begin, end - now


def own_identity(s, ca, client, folder):
    csr, key = new_csr(folder, spiffe("on-a"))
    code, chain = client.ask(csr, "own-token-0123456789")
    s.check("its own identity", code, "OK")
    s.check("leaf, intermediate, roots", len(chain), 3)
    openssl_judges(s, folder, chain, f"{ca.issuer}/ca.crt")
    old, left = age(chain[0])
    s.that("from 20 s ago", 20 <= old <= 40)
    s.that("for 24 hours", abs(left - 86400) < 30)
    for seconds, expected in ((600, 600), (10**9, 86400)):
        left = age(client.ask(csr, "own-token-0123456789",
                              seconds=seconds)[1][0])[1]
        s.that(f"asked for {seconds} s it gives {expected} s",
               abs(left - expected) < 30)
    serials = {run("openssl", "x509", "-noout", "-serial", stdin=client.ask(
        csr, "own-token-0123456789")[1][0]).stdout for _ in range(5)}
    s.check("five serials", len(serials), 5)
    rsa = new_csr(folder, spiffe("on-a"), "rsa:2048")[0]
    s.check("an RSA key", client.ask(rsa, "own-token-0123456789")[0], "OK")
    return chain[0] + chain[1], key


def strangers(s, ca, client, svid, folder):
    csr = new_csr(folder, spiffe("on-a"))[0]
    s.check("no token", client.ask(csr),
            ("UNAUTHENTICATED", "missing token"))
    s.check("a wrong token", client.ask(csr, "wrong-token-0123456789"),
            ("UNAUTHENTICATED",
             "authentication token could not be authenticated"))
    with open(f"{ca.issuer}/ca.crt", encoding="ascii") as roots:
        shown = CaClient(ca.address, roots.read(), svid)
    s.check("a certificate of ours is no token", shown.ask(csr)[0],
            "UNAUTHENTICATED")
    s.check("no CSR", client.ask("", "own-token-0123456789"), (
        "INVALID_ARGUMENT", "missing certificate signing request"))
    s.check("somebody else's CSR", client.ask(
        new_csr(folder, spiffe("on-b"))[0], "own-token-0123456789"), (
            "FAILED_PRECONDITION",
            "requested identity did not match provided token: "
            f"requested={spiffe('on-b')}; found={spiffe('on-a')}"))


def agents(s, client, folder):
    def ask(account, token, **where):
        name = spiffe(account, **where)
        code, words = client.ask(new_csr(folder, name)[0],
                                 f"{token}-token-0123456789", name)
        return code, "" if code == "OK" else words.rsplit(": ", 1)[1]
    denied = "PERMISSION_DENIED"
    s.check("an agent asks for a pod of its node", ask("on-a", "agent-a"),
            ("OK", ""))
    s.check("the same by its pod's UID", ask("on-a", "pod"), ("OK", ""))
    s.check("its token, stolen, for a pod of another node",
            ask("on-b", "agent-a"),
            (denied, "no pod with it on node node-a"))
    s.check("(i) not an agent's ServiceAccount", ask("on-a", "other"), (
        denied, f"{USER}mesh:other is not a trusted agent"))
    s.check("(ii) neither node nor pod in the token",
            ask("on-a", "claimless")[0], denied)
    s.check("(ii) another UID", ask("on-a", "olduid"), (
        denied, "the caller's pod nodeward-system/agent-a has another UID "
        "than the token"))
    s.check("(iii) nobody has it", ask("nobody", "agent-a"), (
        denied, "no pod with it on node node-a"))
    for account, why in (("left", "not opted in"), ("host", "host network"),
                         ("done", "terminal")):
        s.check(f"(iii) pod {account}", ask(account, "agent-a"), (
            denied, f"its pod mesh/{account} on node node-a is not in the "
            f"mesh ({why})"))
    s.check("(iii) another trust domain",
            ask("on-a", "agent-a", domain="evil.example"), (
                denied, "the trust domain here is cluster.local"))
    s.check("a name that is none", client.ask(
        new_csr(folder, spiffe("on-a"))[0], "agent-a-token-0123456789",
        "on-a")[0], "INVALID_ARGUMENT")
    s.check("a name that the CSR does not have", client.ask(
        new_csr(folder, spiffe("on-b"))[0], "agent-a-token-0123456789",
        spiffe("on-a")), (
            "FAILED_PRECONDITION",
            "CSR name does not match requested identity: "
            f"csr={spiffe('on-b')}; req={spiffe('on-a')}"))


def broken_requests(s, client, folder, rounds=1500):
    good = new_csr(folder, spiffe("on-a"))[0]
    rng = random.Random(4711)
    codes = {}
    for _ in range(rounds):
        text = list(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text))
            kind = rng.randrange(3)
            if kind == 0:
                text[at] = chr(rng.randrange(32, 127))
            elif kind == 1:
                del text[at:at + rng.randrange(1, 40)]
            else:
                text[at:at] = good[at:at + rng.randrange(1, 40)]
            if not text:
                text = ["x"]
        code = client.ask("".join(text), "own-token-0123456789")[0]
        codes[code] = codes.get(code, 0) + 1
    s.note(f"{rounds} broken CSRs: {codes}")
    s.that("each is answered, and refused unless only its frame changed",
           set(codes) <= {"OK", "INVALID_ARGUMENT", "FAILED_PRECONDITION"}
           and codes["INVALID_ARGUMENT"] > rounds * 0.8)
    s.check("a CSR of 200 KB", client.ask(
        good + "#" * 200_000, "own-token-0123456789")[0], "INVALID_ARGUMENT")
    s.check("and one of 1 MB", client.ask(
        good + "#" * 1_000_000, "own-token-0123456789")[0],
        "RESOURCE_EXHAUSTED")


def scenario(s):
    folder = tempfile.mkdtemp(prefix=f"nodeward-ca-{os.getpid()}-")
    run(s.binary, "ca", "init", f"{folder}/root")
    run(s.binary, "ca", "issue-intermediate", f"{folder}/root",
        f"{folder}/issuer")
    again = run(s.binary, "ca", "init", f"{folder}/root", check=False)
    s.that("init refuses to overwrite",
           again.returncode == 1 and "has a root already" in again.stderr)
    again = run(s.binary, "ca", "issue-intermediate", f"{folder}/root",
                f"{folder}/issuer", check=False)
    s.that("and so does issue-intermediate",
           again.returncode == 1 and "exists" in again.stderr)
    ca = Authority(s.binary, folder, TOKENS, rate="100000", burst="100000",
                   manifests=manifests(f"{folder}/pods"))
    try:
        with open(f"{folder}/issuer/ca.crt", encoding="ascii") as roots:
            client = CaClient(ca.address, roots.read())
        s.check("health of the server", client.health(), 1)
        s.check("health of the service", client.health(
            "istio.v1.auth.IstioCertificateService"), 1)
        s.check("readiness", run("curl", "-s",
                                 f"{ca.admin}/healthz/ready").stdout,
                "ready\n")
        svid = own_identity(s, ca, client, folder)
        strangers(s, ca, client, svid, folder)
        agents(s, client, folder)
        broken_requests(s, client, folder)
        s.that("metrics count refusals", ca.metric(
            'nodeward_ca_requests_total{code="PERMISSION_DENIED"}') >= 8)
        line = re.search(r".*certificate issued.*node=node-a.*", ca.log())[0]
        s.that("an audit line says who, for whom, serial, until when",
               all(word in line for word in (
                   "caller=system:serviceaccount:nodeward-system:"
                   "nodeward-agent", f"identity={spiffe('on-a')}", "serial=",
                   "not_after=")))
        s.that("the log has no token and no key", not re.search(
            "token-0123456789|PRIVATE|BEGIN", ca.log()))
        s.check("SIGTERM ends it in order", ca.stop(), 0)
    except Exception:
        print(ca.log()[-4000:])
        raise
    finally:
        ca.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(scenario)
