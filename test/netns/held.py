#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Inside meshCIDRs a destination that is not known yet is held, and not a
byte leaves, until it is known to be of the mesh or not."""
import threading
import time

from harness import Capture, await_that, main


def run(s):
    lab = s.trio(start=False)
    for agent in lab.agents():
        agent.config["meshCIDRs"] = ["10.202.0.0/16", "fd46:0:0:2::/64"]
    mesh = lab.pod("mesh/late", "node-b", publish=False)
    plain = lab.pod("legacy/late", "node-b", publish=False)
    never = lab.pod("legacy/never", "node-b", publish=False)
    for pod in (mesh, plain, never):
        pod.serve_web(80)
    lab.start_agents()
    lab.await_enrolled(lab.client)
    wire = Capture(lab.nodes["node-b"].netns, "eth0", f"{lab.folder}/wire")
    for pod, readable in ((mesh, False), (plain, True)):
        for address in (pod.ip4, f"[{pod.ip6}]"):
            marker = f"marker-{pod.namespace}-{time.monotonic_ns()}"
            replies = []
            asking = threading.Thread(target=lambda a=address, m=marker:
                                      replies.append(lab.client.curl(
                                          f"http://{a}/", "-H", f"M: {m}")))
            asking.start()
            await_that("the connection is held", lambda: held(lab))
            s.that("held: nothing on the wire", not wire.holds(marker))
            lab.publish(pod)
            asking.join()
            # Its own agent may learn of it a moment later than ours.
            s.that(f"{pod.full_name} by {address}, once known: {replies[0]}",
                   replies[0].code in ((200,) if readable else (200, 0)))
            await_that("it is served", lambda p=pod:
                       lab.client.curl(f"http://{p.ip4}/").code == 200)
            if readable:
                await_that("the capture has it", lambda: wire.holds(marker))
            s.check("readable on the wire", wire.holds(marker), readable)
            lab.withdraw(pod)
            lab.pods[pod.full_name] = pod
            await_that("it is forgotten", lambda: pod.full_name not in
                       lab.nodes["node-b"].agent.pod_states())
    begin = time.monotonic()
    s.check("never known", lab.client.curl(f"http://{never.ip4}/").outcome,
            "refused")
    s.note(f"after {time.monotonic() - begin:.1f} s")
    wire.stop()


def held(lab):
    done = lab.client.run("ss", "-tnH", "state", "established")
    return "127." in done.stdout or "[::1]" in done.stdout \
        or ":15001" in done.stdout


if __name__ == "__main__":
    main(run)
