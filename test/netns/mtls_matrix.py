#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every mode, for clients inside and outside the mesh, by every kind of
address: what curl gets, and what went over the wire."""
from harness import Capture, await_that, main, policy

GOOD, REFUSED = "200, exit 0", "000, exit 56"
MODES = {
    # mode: (what the mesh client gets, secured?, what legacy gets)
    None: (GOOD, True, GOOD),
    "PERMISSIVE": (GOOD, True, GOOD),
    "STRICT": (GOOD, True, REFUSED),
    "DISABLE": (GOOD, False, GOOD),
}


def matrix(s):
    lab = s.trio()
    lab.service("mesh/headless", {"http": (80, 80)}, {"app": "server"},
                headless=True)
    lab.server.serve_web(80, 81)
    addresses = {
        "VIP, v4": f"http://{lab.vip4}:8000/",
        "VIP, v6": f"http://[{lab.vip6}]:8000/",
        "pod and headless, v4": f"http://{lab.server.ip4}/",
        "pod and headless, v6": f"http://[{lab.server.ip6}]/",
    }
    wire = Capture(lab.nodes["node-b"].netns, "eth0", f"{lab.folder}/wire")
    for mode, (mesh, secured, legacy) in MODES.items():
        if mode:
            lab.apply("policy.yaml", policy("mesh", mode))
            await_that(f"{mode} reaches legacy", lambda want=legacy: str(
                lab.legacy.curl(addresses["VIP, v4"])) == want)
        for name, url in addresses.items():
            for client, want in ((lab.client, mesh), (lab.legacy, legacy)):
                marker = f"{mode}-{name}-{client.namespace}".replace(" ", "")
                reply = client.curl(url, "-H", f"Marker: {marker}")
                what = f"{mode or 'no policy'}, {client.namespace}, {name}"
                s.check(what, str(reply), want)
                if want != GOOD:
                    continue
                source = client.ip6 if "v6" in name else client.ip4
                s.check(what + ": the server sees", reply.body.strip(), source)
                plain = client is lab.legacy or not secured
                if plain:
                    await_that("the capture has it",
                               lambda: wire.holds(marker))
                s.check(what + ": readable on the wire",
                        wire.holds(marker), plain)
    wire.stop()


def ports(s):
    """A mode for one workload port; the Service port plays no part."""
    lab = s.trio()
    lab.service("mesh/second", {"http": (80, 81)}, {"app": "server"})
    lab.server.serve_web(80, 81)
    lab.apply("policy.yaml", policy(
        "mesh", "STRICT", selector={"app": "server"},
        ports={81: "PERMISSIVE"}))
    await_that("STRICT reaches legacy", lambda: str(lab.legacy.curl(
        f"http://{lab.vip4}:8000/")) == REFUSED)
    second = lab.services["mesh/second"][3][0]
    s.check("port 81, PERMISSIVE, legacy",
            str(lab.legacy.curl(f"http://{second}/")), GOOD)
    s.check("port 81, PERMISSIVE, mesh",
            str(lab.client.curl(f"http://{second}/")), GOOD)
    s.check("port 80, STRICT, legacy",
            str(lab.legacy.curl(f"http://{lab.server.ip4}/")), REFUSED)


def run(s):
    matrix(s)
    ports(s)


if __name__ == "__main__":
    main(run)
