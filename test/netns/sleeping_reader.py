#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A reader that sleeps stops the writer: of 300 MB to it, each agent holds no
more than its bound, and others are served meanwhile."""
from harness import await_that, main

WRITTEN = 300 << 20
# What one direction of one connection may make an agent hold: the stream's
# window, a socket's worth on the way, and the allocator's slack.
BOUND = 12 << 20


def run(s):
    lab = s.trio()
    # A sanitizer keeps what was freed for a while.
    bound = BOUND * 8 if s.sanitizer else BOUND
    lab.server.app("stream", "sleeper", 80, ready="listening")
    lab.server.serve_web(81)
    for pod in (lab.client, lab.legacy):
        # One connection first, so that pools and arenas are there.
        pod.curl(f"http://{lab.server.ip4}:81/")
        before = {agent: agent.memory() for agent in lab.agents()}
        writer = pod.app("stream", "send", lab.server.ip4, 80, WRITTEN)
        poured = settle(lambda w=writer: len(w.output()),
                        lambda w=writer: queued(pod, w))
        s.that(f"{pod.full_name}: the writer is stopped "
               f"(sum of progress {poured})", writer.running()
               and "sent" not in writer.output())
        for agent in lab.agents():
            grown = agent.memory() - before[agent]
            s.that(f"{pod.full_name}: agent {agent.node.name} holds "
                   f"{grown / 1048576:.1f} MB, bound {bound >> 20} MB",
                   grown < bound)
        s.check(f"{pod.full_name}: another connection meanwhile", str(
            pod.curl(f"http://{lab.server.ip4}:81/")), "200, exit 0")
        writer.kill()


def queued(pod, writer):
    """Bytes that the kernel holds for the writer: it is stopped when they no
    longer change."""
    done = pod.run("ss", "-tnpH", "state", "established")
    return [line.split()[:2] for line in done.stdout.splitlines()
            if f"pid={writer.pid}," in line]


def settle(*values, calm=40):
    """Waits until nothing has changed for `calm` looks in a row."""
    seen = {"last": None, "same": 0}

    def still():
        now = [value() for value in values]
        seen["same"] = seen["same"] + 1 if now == seen["last"] else 0
        seen["last"] = now
        return seen["same"] >= calm
    await_that("the writer is at rest", still, 120, 0.05)
    return seen["last"][0]


if __name__ == "__main__":
    main(run)
