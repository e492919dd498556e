#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rounds of enrolment and un-enrolment, and of connections, leave nothing
behind: descriptors, memory, pinned maps and links."""
import os

from harness import await_that, main

LOOPS = int(os.environ.get("NODEWARD_LOOPS", "1"))
ROUNDS = 200 * LOOPS
CONNECTIONS = 10000 * LOOPS


def run(s):
    lab = s.trio()
    lab.server.serve_web(80)
    agent = lab.nodes["node-b"].agent
    url = f"http://{lab.vip4}:8000/"
    pod = lab.pod("mesh/inandout", "node-b")
    lab.await_enrolled(pod)
    lab.client.curl(url)

    def turn(mesh):
        pod.labels["nodeward.io/mesh"] = "enabled" if mesh else "disabled"
        lab.publish(pod)
        agent.await_state(pod, "enrolled" if mesh else "skipped")
    for _ in range(10):  # arenas, caches
        turn(False)
        turn(True)
    before = count(agent)
    for _ in range(ROUNDS):
        turn(False)
        turn(True)
    compare(s, f"{ROUNDS} rounds of label off and on", before, agent)
    s.check("still served", lab.client.curl(url).code, 200)

    before = count(agent)
    for number in range(20 * LOOPS):
        short = lab.pod(f"mesh/short{number}", "node-b")
        lab.await_enrolled(short)
        lab.delete_pod(short)
        await_that("forgotten", lambda one=short: one.full_name
                   not in agent.pod_states())
    compare(s, f"{20 * LOOPS} pods that came and went", before, agent)

    echo = lab.server.app("many", "serve", 90, ready="listening")
    short = ["short", str(500), lab.server.ip4, "90"]
    for pod in (lab.client, lab.legacy):
        pod.app("many", *short).wait(120)
    both = [count(each) for each in lab.agents()]
    for pod in (lab.client, lab.legacy):
        client = pod.app("many", "short", CONNECTIONS // 2, lab.server.ip4, 90)
        client.wait(500)
        s.check(f"connections of {pod.full_name}", client.output().strip(),
                f"done {CONNECTIONS // 2} failures {{}}")
    for each, was in zip(lab.agents(), both):
        compare(s, f"{CONNECTIONS} connections, {each.node.name}", was, each)
    echo.kill()


def count(agent):
    """What could leak."""
    pins = sum(len(files) for _, _, files in os.walk(agent.bpf_dir))
    return {"descriptors": agent.descriptors(), "memory": agent.memory(),
            "pins": pins}


def compare(s, what, before, agent):
    def settled():
        now = count(agent)
        return all(now[key] <= before[key] + (4 if key == "descriptors" else 0)
                   for key in ("descriptors", "pins"))
    try:
        await_that("it settles", settled, 30, 0.2)
    except TimeoutError:
        pass
    now = count(agent)
    for key in ("descriptors", "pins"):
        slack = 4 if key == "descriptors" else 0
        s.that(f"{what}: {key} {before[key]} → {now[key]}",
               now[key] <= before[key] + slack)
    grown = (now["memory"] - before["memory"]) / 1048576
    s.that(f"{what}: memory {grown:+.1f} MB",
           grown < (300 if s.sanitizer else 8))


if __name__ == "__main__":
    main(run)
