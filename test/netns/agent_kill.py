#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at awkward moments: closed while dead, adopted when back, and never
a pod touched."""
import os
import random
import threading
import time

from harness import await_that, main, policy

LOOPS = int(os.environ.get("NODEWARD_LOOPS", "1"))


def run(s):
    lab = s.trio(start=False)
    web = lab.server.serve_web(80)
    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    url = f"http://{lab.vip4}:8000/"
    agents = lab.agents()

    held = lab.client.connect(lab.vip4, 8000)
    for agent in agents:
        agent.kill()
    s.check("dead: legacy", str(lab.legacy.curl(
        f"http://{lab.server.ip4}/")), "000, exit 7")
    s.check("dead: mesh gets nothing", lab.client.curl(url).code, 0)
    try:
        ended = held.recv(1) == b""
    except ConnectionResetError:
        ended = True
    s.that("dead: an open connection ended", ended)
    held.close()
    s.check("dead: the pod's own loopback works", lab.server.run(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
        "http://127.0.0.1/").stdout, "200")

    for agent in agents:
        agent.launch()
    await_that("served again", lambda: lab.client.curl(url).code == 200)
    s.check("back: legacy", str(lab.legacy.curl(url)), "000, exit 56")
    s.that("back: the program was never touched", web.running())

    # One side alone.
    agents[1].kill()
    s.check("server's agent dead: mesh gets nothing",
            lab.client.curl(url).code, 0)
    agents[1].start()
    await_that("served again", lambda: lab.client.curl(url).code == 200)

    moments(s, lab, agents, url, 8 * LOOPS)

    # A pod that comes and goes while the agent is dead.
    agents[0].kill()
    late = lab.pod("mesh/late", "node-a")
    lab.delete_pod(lab.client)
    agents[0].start()
    lab.await_enrolled(late)
    s.check("a pod made while the agent was dead",
            str(late.curl(url)), "200, exit 0")
    s.that("a pod deleted meanwhile is forgotten",
           "mesh/client" not in agents[0].pod_states())

    for agent in agents:
        agent.stop()
        done = agent.uninstall()
        s.check(f"uninstall on {agent.node.name}", done.returncode, 0)
    s.check("uninstalled: plaintext as without a mesh",
            str(late.curl(url)), "200, exit 0")


def moments(s, lab, agents, url, rounds):
    """Killed at any time since the start, under traffic and enrolment."""
    stop = threading.Event()
    leaks = []

    def knock():
        while not stop.is_set():
            reply = lab.legacy.curl(f"http://{lab.server.ip4}/", timeout=5)
            if reply.code:
                leaks.append(str(reply))

    knocking = threading.Thread(target=knock)
    knocking.start()
    chance = random.Random(1)
    try:
        for number in range(rounds):
            pod = lab.pod(f"mesh/round{number}", "node-b",
                          labels={"app": "round"})
            agents[1].kill()
            agents[1].launch()
            time.sleep(chance.uniform(0, 0.3))  # the moment itself
            agents[1].kill()
            agents[1].start()
            lab.await_enrolled(lab.server, pod)
            await_that("served again",
                       lambda: lab.client.curl(url).code == 200)
            lab.delete_pod(pod)
    finally:
        stop.set()
        knocking.join()
    s.check(f"{rounds} kills at any moment: plaintext that passed under "
            "STRICT", leaks, [])


if __name__ == "__main__":
    main(run)
