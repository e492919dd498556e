#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""250 pods on one agent: all enrolled, all served, little time and memory for
each."""
import time

from harness import await_that, main

PODS = 250


def run(s):
    lab = s.cluster()
    lab.namespace("mesh", mesh="enabled")
    pods = [lab.pod(f"mesh/pod{number}", "node-b", account=f"sa{number % 20}",
                    publish=False) for number in range(PODS)]
    client = lab.pod("mesh/client", "node-a")
    listeners = [pod.listen(80) for pod in pods]
    lab.start_agents()
    agent = lab.nodes["node-b"].agent
    memory = agent.memory()

    def enrolled():
        return sum(state == "enrolled"
                   for state, _ in agent.pod_states().values())
    begin = time.monotonic()
    for pod in pods:
        lab.publish(pod)
    s.that("all enrolled", await_that("all are", lambda: enrolled() == PODS,
                                      60))
    s.note(f"{(time.monotonic() - begin) / PODS * 1000:.1f} ms a pod, "
           f"{(agent.memory() - memory) / PODS / 1024:.0f} KB a pod, "
           f"{agent.descriptors() / PODS:.1f} descriptors a pod")
    served = 0
    for pod, listener in zip(pods, listeners):
        one = client.connect(pod.ip4, 80)
        one.sendall(b"x")
        other, peer = listener.accept()
        other.settimeout(30)
        served += other.recv(1) == b"x" and peer[0] == client.ip4
        one.close()
        other.close()
        listener.close()
    s.check("served, each seeing the client's address", served, PODS)

    begin = time.monotonic()
    agent.kill()
    agent.start()
    s.that("all adopted", await_that("all are", lambda: enrolled() == PODS,
                                     60))
    s.note(f"{time.monotonic() - begin:.2f} s from kill to all adopted")
    for pod in pods:
        lab.delete_pod(pod)

    await_that("all are forgotten", lambda: not agent.pod_states(), 60)
    s.that(f"descriptors afterwards: {agent.descriptors()}",
           agent.descriptors() < 100)


if __name__ == "__main__":
    main(run)
