#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""More concurrent connections from one pod than one ephemeral port range has:
tuples stay unique for each destination.

40 000 to two destinations over the usual range (28 232 ports) where this
machine's limit of open files lets an agent hold so many; else as many as it
lets, over a range made as much narrower.
"""
import resource

from harness import await_that, main

USUAL = 28232
WANTED = 40000


def run(s):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(WANTED, (hard - 1500) // 100 * 100)
    ports = int(USUAL * count / WANTED)
    s.note(f"limit of open files {hard}: {count} connections, "
           f"{ports} ephemeral ports")
    lab = s.trio()
    server, client = lab.server, lab.client
    client.run("sh", "-c", "echo 32768 $((32767 + $0)) > "
               "/proc/sys/net/ipv4/ip_local_port_range", ports)
    servers = [server.app("many", "serve", port, ready="listening")
               for port in (80, 81)]
    # Each half is held by a program of its own: the limit is theirs, too.
    halves = [client.app("many", "open", count // 4, server.ip4, 80, 81)
              for _ in range(2)]
    for half in halves:
        await_that("all are open", lambda one=half: "held" in one.output()
                   or not one.running(), 400, 0.2)
        s.check("opened, echoed, with the right peer name",
                half.output().strip(), f"held {count // 4 * 2} failures {{}}")
    for agent in lab.agents():
        s.check(f"open on agent {agent.node.name}", await_that(
            "the gauge", lambda one=agent: one.metrics()[
                "nodeward_open_connections"] == count and count), count)
        s.note(f"{agent.memory() / count / 1024:.1f} KB a connection, "
               f"{agent.descriptors()} descriptors")
    for half in halves:
        half.kill()
    # Pooled connections, a hundred streams each, stay for a while.
    limit = count // 100 + 100
    for agent in lab.agents():
        try:
            await_that("all are closed", lambda one=agent: one.descriptors()
                       < limit, 60, 0.2)
        except TimeoutError:
            pass
        left = agent.descriptors()
        s.that(f"agent {agent.node.name} has {left} descriptors afterwards",
               left < limit)
    for each in servers:
        s.that("the servers live", each.running())


if __name__ == "__main__":
    main(run)
