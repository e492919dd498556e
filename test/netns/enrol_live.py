#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""In and out of the mesh by label, with programs running all the while."""
import json
import os

from harness import ask, await_that, main, policy

URL = "http://{}:8000/"


def run(s):
    lab = s.trio(start=False)
    for pod in (lab.server, lab.client):
        pod.labels["nodeward.io/mesh"] = "disabled"
        lab.publish(pod)
    web = lab.server.serve_web(80)
    lab.start_agents()
    agents = lab.agents()
    url = URL.format(lab.vip4)
    s.check("not enrolled: served as ever", str(lab.client.curl(url)),
            "200, exit 0")
    for pod in (lab.server, lab.client):
        s.check(f"{pod.name} by status", pod.node.agent.pod_states()[
            pod.full_name][0], "skipped")

    # A connection from before, then the label and STRICT together.
    before = lab.legacy.connect(lab.server.ip4, 80)
    s.check("plaintext before", ask(before)[0], 200)
    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    for pod in (lab.server, lab.client):
        del pod.labels["nodeward.io/mesh"]
        lab.publish(pod)
    lab.await_enrolled(lab.server, lab.client)
    try:
        end = before.recv(1000)
    except ConnectionResetError:
        end = "reset"
    s.check("plaintext from before the enrolment under STRICT", end, "reset")
    s.check("enrolled: mesh", str(lab.client.curl(url)), "200, exit 0")
    s.check("enrolled: legacy", str(lab.legacy.curl(url)), "000, exit 56")
    s.check("edge", await_that("the edge", lambda: agents[1].edge(
        lab.client, lab.server)), "√")

    # Out again with a connection open: it drains, new ones are plaintext.
    kept = lab.client.connect(lab.vip4, 8000)
    s.check("open", ask(kept)[0], 200)
    lab.server.labels["nodeward.io/mesh"] = "disabled"
    lab.publish(lab.server)
    await_that("legacy is let in", lambda: str(lab.legacy.curl(url))
               == "200, exit 0")
    s.check("the open connection goes on while it drains",
            ask(kept)[0], 200)
    kept.close()
    lab.server.node.agent.await_state(lab.server, "skipped")
    s.check("hooks are gone", hooks(lab.server), 0)
    s.that("the program was never touched", web.running())

    # The namespace decides again; "required" is stronger than a pod's no.
    lab.namespace("mesh", mesh="required")
    lab.await_enrolled(lab.server)
    s.check("required: legacy", str(lab.legacy.curl(url)), "000, exit 56")


def hooks(pod):
    """Network namespace links that name this pod's namespace."""
    done = pod.run("bpftool", "-j", "link", "show")
    inode = os.stat(f"/run/netns/{pod.netns}").st_ino
    return sum(link.get("netns_ino") == inode
               for link in json.loads(done.stdout))


if __name__ == "__main__":
    main(run)
