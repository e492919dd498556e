#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Agents that follow a real API server: what happens there happens in the mesh,
and what does not, does not."""
from kube.lab import Lab

# pylint: disable=wrong-import-order
from harness import await_that, main

MARK = "ambient.istio.io/redirection"


def scenario(s):
    cluster = s.cluster()
    lab = Lab(cluster)
    try:
        lab.start()
        lab.namespace("mesh", {"nodeward.io/mesh": "enabled"})
        lab.namespace("legacy")
        server = lab.pod("mesh/server", "node-b", ports={"http": 80})
        client = lab.pod("mesh/client", "node-a")
        legacy = lab.pod("legacy/client", "node-a")
        cluster.start_agents()
        cluster.await_enrolled(server, client)
        s.check("a pod that did not opt in",
                legacy.node.agent.pod_states()["legacy/client"][0], "skipped")
        for pod in (server, client):
            await_that("its agent marks it", lambda pod=pod: lab.annotations(
                pod).get(MARK) == "enabled")
        server.serve_web(80)
        url = f"http://{server.ip4}/"
        await_that("through the mesh", lambda: client.curl(url).code == 200
                   and client.node.agent.edge(client, server) == "√")
        s.check("without a policy in plaintext, too", str(legacy.curl(url)),
                "200, exit 0")
    except Exception:
        print(lab.plane.logs())
        s.show_logs()
        raise
    finally:
        lab.stop()


if __name__ == "__main__":
    main(scenario)
