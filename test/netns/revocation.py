#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A certificate that is revoked ends what rests on it."""
from harness import await_that, main
from harness.mesh_authority import put, read
from harness.traffic import ending, opened
from peers.identity import other_ca, revocation_list


def revocation(s):
    """A list that names the client's certificate ends what it has open."""
    lab = prepared(s)
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    listener = lab.server.listen(81)
    lab.server.serve_web(80)
    held = opened(lab.client, lab.server.ip4, listener, 81)
    url = f"http://{lab.vip4}:8000/"
    s.check("before", str(lab.client.curl(url)), "200, exit 0")
    own = lab.client.node.agent
    revoked = f"{lab.folder}/revoked.pem"
    put(revoked, own.command("certs", "show", "mesh/client").stdout)
    put(f"{lab.folder}/crl.pem",
        revocation_list(lab.ca, f"{lab.folder}/crl", revoked))
    s.check("the revoked client's open connection", ending(held[0]), "reset")
    s.check("and a new one", lab.client.curl(url).outcome, "refused")
    own.stop()
    own.start()
    own.await_state(lab.client, "enrolled", deadline=60)
    await_that("its next certificate is good again",
               lambda: lab.client.curl(url).code == 200)
    s.that("its next certificate is good again", True)
    for each in (*held, listener):
        each.close()


def prepared(s):
    """Agents that trust a bundle and a revocation list of files."""
    lab = s.trio(start=False)
    other_ca(lab.ca)
    put(f"{lab.folder}/roots.pem", read(f"{lab.ca}/ca.crt"))
    put(f"{lab.folder}/crl.pem",
        revocation_list(lab.ca, f"{lab.folder}/crl"))
    for agent in lab.agents():
        agent.config["trust"] = {"bundle": f"{lab.folder}/roots.pem",
                                 "crl": f"{lab.folder}/crl.pem",
                                 "grace": "1h"}
    return lab


if __name__ == "__main__":
    main(revocation)
