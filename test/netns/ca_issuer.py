#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The CA's issuer is swapped, and refused, while clients ask; its own
certificate is renewed; callers are held to their rate; it drains."""
import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import tempfile

from harness import Process, await_that, main, run
from harness.authority import Authority, new_csr
import peers.ca_client
from peers.ca_client import CaClient

NAME = "spiffe://cluster.local/ns/mesh/sa/app"
TOKENS = "app-token-0123456789 system:serviceaccount:mesh:app\n"
TOKEN = TOKENS.split()[0]


def serial(pem):
    return run("openssl", "x509", "-noout", "-serial",
               stdin=pem).stdout.strip().split("=")[1]


def intermediate(s, folder, name, root="root"):
    run(s.binary, "ca", "issue-intermediate", f"{folder}/{root}",
        f"{folder}/{name}")
    with open(f"{folder}/{name}/tls.crt", encoding="ascii") as file:
        return serial(file.read())


class Load:
    """Three connections that ask all the time; every answer is kept."""

    def __init__(self, address, folder):
        self._process = Process(
            ["/usr/bin/python3", peers.ca_client.__file__, address,
             f"{folder}/root/ca.crt", f"{folder}/csr", TOKEN, "3"],
            f"{folder}/load")

    def count(self):
        return self._process.output().count("\n")

    def end(self):
        self._process.stop(30)
        return [json.loads(line) for line in
                self._process.output().splitlines()]


def unverified(folder, roots, chains):
    """Those of `chains` that openssl does not verify."""
    bad = 0
    for leaf, middle in chains:
        for name, text in (("leaf", leaf), ("middle", middle)):
            with open(f"{folder}/{name}", "w", encoding="ascii") as file:
                file.write(text)
        bad += run("openssl", "verify", "-CAfile", roots, "-untrusted",
                   f"{folder}/middle", f"{folder}/leaf",
                   check=False).returncode != 0
    return bad


def swaps(s, ca, folder):
    load = Load(ca.address, folder)
    await_that("the load runs", lambda: load.count() > 20)
    updates = 'nodeward_ca_events_total{reason="IssuerUpdated"}'
    for number in range(1, 6):
        intermediate(s, folder, f"next{number}")
        ca.swap(f"{folder}/next{number}")
        await_that(f"swap {number}", lambda n=number: (
            ca.metric(updates) == n))
    seen = load.count()
    await_that("requests of the last one", lambda: load.count() > seen + 10)
    answers = load.end()
    s.note(f"{len(answers)} requests during five swaps")
    s.check("every one answered", [
        answer for answer in answers if answer[0] != "OK"], [])
    s.check("by the six issuers in turn",
            len({chain[1] for _, chain in answers}), 6)
    s.check("each under its own issuer", unverified(
        folder, f"{folder}/root/ca.crt",
        {(chain[0], chain[1])
         for _, chain in answers[::1 + len(answers) // 30]}), 0)
    s.that("the event is in the log", re.search(
        r"Updated identity issuer.*type=Normal.*reason=IssuerUpdated",
        ca.log()))


def refusals(s, ca, folder, client, csr):
    before = serial(client.ask(csr, TOKEN)[1][1])

    def refused(what, reason, words):
        name = f'nodeward_ca_events_total{{reason="{reason}"}}'
        count = ca.metric(name)

        def seen():
            return ca.metric(name) > count
        return lambda: (await_that(what, seen), s.that(
            f"{what}: the log says why", re.search(words, ca.log())), s.check(
                f"{what}: the old one stays",
                serial(client.ask(csr, TOKEN)[1][1]), before))
    run(s.binary, "ca", "init", f"{folder}/other")
    intermediate(s, folder, "strange", root="other")
    check = refused("under another root", "IssuerValidationFailed",
                    "issuer cert is not issued by the trust anchor")
    os.remove(f"{folder}/strange/ca.crt")
    ca.swap(f"{folder}/strange")
    check()
    check = refused("half a pair", "IssuerValidationFailed",
                    "do not belong together")
    intermediate(s, folder, "half")
    shutil.copy(f"{folder}/half/tls.crt", f"{ca.issuer}/tls.crt")
    check()
    check = refused("no certificate", "IssuerUpdateSkipped",
                    "Skipping issuer update as certs could not be read from "
                    "disk")
    with open(f"{ca.issuer}/tls.crt", "w", encoding="ascii") as file:
        file.write("no certificate\n")
    check()
    updated = 'nodeward_ca_events_total{reason="IssuerUpdated"}'
    count = ca.metric(updated)
    ca.swap(f"{folder}/half")
    await_that("a good one again", lambda: ca.metric(updated) > count)
    s.check("readiness through all of it", run(
        "curl", "-s", f"{ca.admin}/healthz/ready").stdout, "ready\n")


def mounted(s, folder, roots, csr):
    """A Secret as the kubelet mounts it."""
    for number in (1, 2):
        intermediate(s, folder, f"mount{number}")
    os.mkdir(f"{folder}/m")
    issuer = f"{folder}/m/issuer"
    os.mkdir(issuer)
    for number in (1, 2):
        shutil.move(f"{folder}/mount{number}", f"{issuer}/..{number}")
    os.symlink("..1", f"{issuer}/..data")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        os.symlink(f"..data/{name}", f"{issuer}/{name}")
    ca = Authority(s.binary, f"{folder}/m", TOKENS, lifetime="10s",
                   rate="5", burst="5")
    try:
        client = CaClient(ca.address, roots)
        first = serial(client.ask(csr, TOKEN)[1][1])
        os.symlink("..2", f"{issuer}/..data_tmp")
        os.rename(f"{issuer}/..data_tmp", f"{issuer}/..data")
        shutil.rmtree(f"{issuer}/..1")
        await_that("the Secret's next generation", lambda: (
            "Updated identity issuer" in ca.log()))
        second = serial(client.ask(csr, TOKEN)[1][1])
        s.that("a mounted Secret moves on", first != second)
        codes = [client.ask(csr, TOKEN)[0] for _ in range(40)]
        s.that("a caller is held to its rate",
               "OK" in codes and "RESOURCE_EXHAUSTED" in codes)
        renewals(s, ca)
    except Exception:
        print(ca.log()[-3000:])
        raise
    finally:
        ca.stop()


def renewals(s, ca):
    def shown():
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(["h2"])
        host, port = ca.address.split(":")
        with socket.create_connection((host, int(port)), 10) as raw, \
                context.wrap_socket(raw, server_hostname=host) as tls:
            return hashlib.sha256(tls.getpeercert(True)).hexdigest()
    seen = {shown()}

    def another():
        seen.add(shown())
        return len(seen) >= 3
    await_that("the port's certificate is renewed twice", another, 40, 0.5)
    s.note("the certificate of the CA's own port is renewed at half its life")


def drains(s, ca, folder):
    def issued():
        return ca.log().count("certificate issued")
    before = issued()
    load = Load(ca.address, folder)
    await_that("the load runs", lambda: load.count() > 20)
    status = ca.stop()
    answers = [code for code, _ in load.end()]
    s.check("SIGTERM under load ends it in order", status, 0)
    # Those that came too late; gRPC cancels what meets it on the way.
    s.that(f"the others are told to try again: {set(answers)}",
           set(answers) <= {"OK", "UNAVAILABLE", "CANCELLED"})
    s.check("what it issued has arrived", answers.count("OK"),
            issued() - before)


def scenario(s):
    folder = tempfile.mkdtemp(prefix=f"nodeward-issuer-{os.getpid()}-")
    run(s.binary, "ca", "init", f"{folder}/root")
    intermediate(s, folder, "issuer")
    with open(f"{folder}/root/ca.crt", encoding="ascii") as file:
        roots = file.read()
    csr = new_csr(folder, NAME)[0]
    with open(f"{folder}/csr", "w", encoding="ascii") as file:
        file.write(csr)
    ca = Authority(s.binary, folder, TOKENS, rate="100000", burst="100000")
    try:
        client = CaClient(ca.address, roots)
        swaps(s, ca, folder)
        refusals(s, ca, folder, client, csr)
        drains(s, ca, folder)
        mounted(s, folder, roots, csr)
    except Exception:
        print(ca.log()[-3000:])
        raise
    finally:
        ca.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(scenario)
