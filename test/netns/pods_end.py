#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pods that go with connections open, whose namespace is gone, that finish;
and two pods with one IP."""
import os

from harness import await_that, main, run as execute


def run(s):
    lab = s.trio()
    listener = lab.server.listen(80)
    held = []
    for pod in (lab.client, lab.legacy):
        one = pod.connect(lab.vip4, 8000)
        one.sendall(b"x")
        other, _ = listener.accept()
        other.recv(1)
        held.append((one, other))
    # The object goes first, as in a cluster; the namespace must be free for
    # its veth to vanish with it.
    for _, other in held:
        other.close()
    listener.close()
    interface = lab.server.interface()
    lab.delete_pod(lab.server)
    for (one, _), name in zip(held, ("mesh", "legacy")):
        try:
            ended = one.recv(1) == b""
        except OSError:
            ended = True
        s.that(f"the {name} client's connection has ended", ended)
        one.close()
    s.that("the veth is gone: no agent socket keeps the namespace",
           await_that("the veth goes", lambda: execute(
               "ip", "-n", lab.nodes["node-b"].netns, "link", "show",
               interface, check=False).returncode != 0, 10))
    agent = lab.nodes["node-b"].agent
    s.that("status forgets it", await_that(
        "status forgets it", lambda: "mesh/server" not in agent.pod_states()))

    # The namespace goes, the object stays.
    lost = lab.pod("mesh/lost", "node-b")
    lab.await_enrolled(lost)
    execute("ip", "netns", "del", lost.netns)
    agent.await_state(lost, "failed")
    reason = agent.pod_states()["mesh/lost"][1]
    s.that(f"status says why: {reason!r}", lost.netns in reason
           or "netns" in reason or "namespace" in reason)
    s.check("status exits with", agent.status().returncode, 1)
    lab.withdraw(lost)

    # A finished pod frees its address for the next.
    first = lab.pod("mesh/first", "node-b")
    lab.await_enrolled(first)
    lab.publish(first, status={"phase": "Succeeded"})
    agent.await_state(first, "skipped")
    first.end()
    second = lab.pod("mesh/second", "node-b", addresses=(first.ip4, first.ip6))
    lab.await_enrolled(second)
    second.serve_web(80)
    s.check("the next pod with that address", str(lab.client.curl(
        f"http://{second.ip4}/")), "200, exit 0")

    # Two live pods with one address: neither is spoken to.
    third = lab.pod("mesh/third", "node-b", publish=False)
    third.ip4 = second.ip4
    lab.publish(third)
    await_that("both are refused", lambda: lab.client.curl(
        f"http://{second.ip4}/").code == 0)
    for pod in (second, third):
        state, reason = agent.pod_states()[pod.full_name]
        s.that(f"{pod.name}: {state}, {reason}", state != "enrolled"
               and second.ip4 in reason or "address" in reason)
    lab.withdraw(third)
    third.end()
    lab.await_enrolled(second)
    s.check("one of them gone", await_that("served again", lambda: lab.client
            .curl(f"http://{second.ip4}/").code), 200)
    s.that("no descriptor is left behind",
           len(os.listdir(f"/proc/{agent.pid}/fd")) < 200)


if __name__ == "__main__":
    main(run)
