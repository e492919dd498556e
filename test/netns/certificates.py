#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What openssl sees: the workload's SVID on the service's own port (ALPN
istio) and on 15008; an application's own TLS is left alone."""
import os
import re

from harness import await_that, main, policy
from peers.identity import other_ca


def run(s):
    lab = s.trio()
    lab.server.serve_web(80)
    for name, address, alpn in (
            ("the pod's own port", f"{lab.server.ip4}:80", "istio"),
            ("the pod's own port, v6", f"[{lab.server.ip6}]:80", "istio"),
            ("the Service", f"{lab.vip4}:8000", "istio"),
            ("the HBONE port", f"{lab.server.ip4}:15008", "h2")):
        leaf = shown(lab.legacy, address, alpn)
        text = lab.legacy.run("openssl", "x509", "-noout", "-text",
                              stdin=leaf).stdout
        s.note(name)
        s.that("version 3", "Version: 3 (0x2)" in text)
        s.that("issuer O = cluster.local",
               re.search(r"Issuer: O ?= ?cluster\.local", text))
        s.that("empty subject", re.search(r"Subject: *\n", text))
        s.that("SAN critical, the SPIFFE ID and nothing else", re.search(
            r"Subject Alternative Name: critical\n"
            r" *URI:spiffe://cluster\.local/ns/mesh/sa/server\n", text))
        s.that("key usage critical, digital signature", re.search(
            r"Key Usage: critical\n *Digital Signature", text))
        s.that("for TLS servers and clients",
               "TLS Web Server Authentication, "
               "TLS Web Client Authentication" in text)
        s.that("basic constraints critical, no CA", re.search(
            r"Basic Constraints: critical\n *CA:FALSE", text))
        s.that("ECDSA P-256", "ASN1 OID: prime256v1" in text)
        s.check("valid for another 23 hours", lab.legacy.run(
            "openssl", "x509", "-noout", "-checkend", str(23 * 3600),
            stdin=leaf, check=False).returncode, 0)
        s.check("and for 25 hours no longer", lab.legacy.run(
            "openssl", "x509", "-noout", "-checkend", str(25 * 3600),
            stdin=leaf, check=False).returncode, 1)
    s.check("ca.key is for root alone",
            oct(os.stat(f"{lab.ca}/ca.key").st_mode & 0o777), "0o600")

    # TLS of the application itself.
    own = other_ca(f"{lab.folder}/own")
    lab.server.spawn("openssl", "s_server", "-accept", "443", "-www",
                     "-cert", f"{own}/ca.crt", "-key", f"{own}/ca.key")
    url = f"https://{lab.server.ip4}/"
    await_that("the application's TLS server answers",
               lambda: lab.server.curl("https://127.0.0.1/", "-k").code == 200)
    with open(f"{own}/ca.crt", encoding="ascii") as file:
        certificate = file.read().strip()
    for pod in (lab.client, lab.legacy):
        s.check(f"PERMISSIVE: {pod.full_name} with the application's TLS",
                str(pod.curl(url, "-k", "--http1.1")), "200, exit 0")
        s.check("its own certificate is seen", shown(
            pod, f"{lab.server.ip4}:443", "http/1.1").strip(), certificate)
    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    await_that("STRICT holds", lambda: lab.legacy.curl(
        f"http://{lab.server.ip4}/").code == 0)
    s.check("STRICT: legacy with the application's TLS", lab.legacy.curl(
        url, "-k").exit, 35)
    s.check("STRICT: mesh with the application's TLS", str(lab.client.curl(
        url, "-k", "--http1.1")), "200, exit 0")
    s.that("STRICT: the SVID on the service's own port", "BEGIN" in shown(
        lab.legacy, f"{lab.server.ip4}:80", "istio"))


def shown(pod, address, alpn):
    """The leaf that the server shows."""
    output = pod.run("openssl", "s_client", "-alpn", alpn, "-connect", address,
                     stdin="", check=False).stdout
    found = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE"
                      r"-----\n", output, re.S)
    return found[0] if found else output


if __name__ == "__main__":
    main(run)
