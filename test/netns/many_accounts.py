#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""500 ServiceAccounts get a pod on one node at once: the agent's burst at the
CA is bounded, and pods go on while it lasts."""
import json
import time

from harness import await_that, main
from harness.manifest import pod
from harness.mesh_authority import MeshAuthority
from harness.traffic import Traffic

COUNT = 500
IN_FLIGHT = 8


def many(s):
    lab = s.trio(start=False)
    # It answers no more than that many of one caller at once.
    authority = MeshAuthority(lab, "1h", in_flight=IN_FLIGHT)
    authority.start()
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    lab.server.serve_web(80)
    agent = lab.client.node.agent
    traffic = Traffic(lambda: str(lab.client.curl(
        f"http://{lab.vip4}:8000/")))
    # Their certificates are there before their networks are.
    names = [f"many-{number:03}" for number in range(COUNT)]
    begin = time.monotonic()
    lab.apply("many.yaml", *(pod(
        name, "mesh", f"uid-{name}", {}, "node-a", name,
        [f"10.99.{number >> 8}.{number & 255}"], "none", {}, {})
        for number, name in enumerate(names)))

    def certified():
        return {one["identity"].rsplit("/", 1)[1]: one["serial"] for one in
                json.loads(agent.command("certs", "-o", "json").stdout)
                if one["state"] == "valid"}
    # How long that takes is the machine's affair.
    await_that("all have certificates",
               lambda: len(certified()) == COUNT + 1, 300, 0.2)
    s.note(f"{COUNT} certificates in {time.monotonic() - begin:.1f} s")
    issued = certified()
    s.check("each its own", len(set(issued.values())), COUNT + 1)
    s.that("and all of them", set(names) < set(issued))
    asked = authority.process.output()
    s.check("each asked for once", max(asked.count(
        f"identity=spiffe://cluster.local/ns/mesh/sa/{name} ")
        for name in names), 1)
    s.check(f"never more than {IN_FLIGHT} at a time", [
        line for line in agent.log().splitlines()
        if "RESOURCE_EXHAUSTED" in line], [])
    traffic.stop()
    s.note(f"{len(traffic.seen())} connections meanwhile, the slowest "
           f"{traffic.slowest():.1f} s")
    s.check("which all went well", set(traffic.seen()), {"200, exit 0"})

    # The last pod of an account takes its certificate along.
    lab.remove("many.yaml")
    await_that("they are dropped", lambda: set(certified()) == {"client"})
    s.that("they are dropped with their pods", True)
    authority.process.stop(30)


if __name__ == "__main__":
    main(many)
