#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A reader that sleeps stops the writer: of 300 MB to it, each agent holds no
more than its bound, and others are served meanwhile. So it is with a stream of
HTTP/2, whose reader has granted it all."""
import os
import select

import h2.config
import h2.connection
import h2.settings

from harness import await_that, main

WRITTEN = 300 << 20
# What one direction of one connection may make an agent hold: the stream's
# window, a socket's worth on the way, and the allocator's slack.
BOUND = 12 << 20


H2_PORT = 8080


def sleeping_download(pod, address):
    """Asks for more than anybody holds, grants it, and reads nothing."""
    connection = pod.connect(address, H2_PORT)
    peer = h2.connection.H2Connection(h2.config.H2Configuration())
    peer.initiate_connection()
    peer.update_settings(
        {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: (1 << 31) - 1})
    peer.increment_flow_control_window((1 << 31) - 1 - 65535)
    peer.send_headers(1, ((":method", "GET"), (":scheme", "http"),
                          (":path", f"/bytes/{WRITTEN}"),
                          (":authority", "x")), end_stream=True)
    connection.sendall(peer.data_to_send())
    return connection


def sleeping_upload(pod, address):
    """Sends to an application that does not read, as much as is granted."""
    connection = pod.connect(address, H2_PORT)
    peer = h2.connection.H2Connection(h2.config.H2Configuration())
    peer.initiate_connection()
    peer.send_headers(1, ((":method", "POST"), (":scheme", "http"),
                          (":path", "/sleeper"), (":authority", "x")))
    part = b"x" * 16384
    quiet = 0
    while quiet < 40:
        while peer.local_flow_control_window(1) >= len(part):
            peer.send_data(1, part)
            connection.sendall(peer.data_to_send())
        connection.sendall(peer.data_to_send())
        if select.select([connection], [], [], 0.05)[0]:
            peer.receive_data(connection.recv(65536))
            quiet = 0
        else:
            quiet += 1
    return connection


def http2(s, lab, bound):
    script = os.path.join(os.path.dirname(__file__), "apps", "h2_server.js")
    node = lab.server.spawn("node", script, H2_PORT)
    await_that("Node listens", lambda: "listening" in node.output())
    for pod in (lab.client, lab.legacy):
        for what, begin in (("a download", sleeping_download),
                            ("an upload", sleeping_upload)):
            pod.curl(f"http://{lab.server.ip4}:{H2_PORT}/session",
                     "--http2-prior-knowledge")
            before = {agent: agent.memory() for agent in lab.agents()}
            connection = begin(pod, lab.server.ip4)
            settle(lambda: [agent.memory() >> 18 for agent in lab.agents()])
            for agent in lab.agents():
                grown = agent.memory() - before[agent]
                s.that(f"{pod.full_name}: {what} by HTTP/2: agent "
                       f"{agent.node.name} holds {grown / 1048576:.1f} MB",
                       grown < bound)
            s.check(f"{pod.full_name}: another connection meanwhile",
                    str(pod.curl(f"http://{lab.server.ip4}:{H2_PORT}/session",
                                 "--http2-prior-knowledge")), "200, exit 0")
            connection.close()


def run(s):
    lab = s.trio()
    lab.server.ports["http2"] = H2_PORT
    lab.publish(lab.server)
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
    http2(s, lab, bound)


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
