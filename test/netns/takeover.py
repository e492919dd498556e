#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One agent takes over from another under load: no connection is refused,
none is opened to plaintext, and what goes wrong leaves the first one serving."""
import array
import json
import os
import socket
import threading
import time

from harness import await_that, main, policy
from harness.traffic import Traffic, opened, speaks

DRAIN = 4
REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
THREADS, PACE = 4, 0.02  # 200 connections a second at most


def get(pod, address, port):
    """What comes back on a connection of its own: "200", or how it failed."""
    try:
        with pod.connect(address, port) as connection:
            connection.sendall(REQUEST)
            reply = b""
            while data := connection.recv(4096):
                reply += data
    except OSError as error:
        return f"{type(error).__name__} {error}"
    return reply[9:12].decode() or "nothing"


class Load:
    """Connections, one after another, on several threads."""

    def __init__(self, lab):
        self._parts = [Traffic(lambda: get(lab.client, lab.vip4, 8000), PACE)
                       for _ in range(THREADS)]

    def stop(self):
        for part in self._parts:
            part.stop()
        seen = [what for part in self._parts for what in part.seen()]
        return len(seen), sorted({what for what in seen if what != "200"})


def takes_over(s, agent, binary=None):
    """Starts a successor, of another binary maybe, and waits until it serves."""
    begin = time.monotonic()
    new = agent.successor(takeover=True)
    new.binary = binary or agent.binary
    new.launch()
    await_that(f"the successor on {agent.node.name} serves",
               lambda: new.serves(), 60)
    s.note(f"{agent.node.name}: taken over after "
           f"{time.monotonic() - begin:.2f} s")
    agent.node.agent = new
    return new


def ends(s, old, what):
    await_that("the former agent ends", lambda: not old.running(), 60)
    s.check(f"{what}: the former agent's exit", old.exit_status(), 0)


def in_a_row(s, lab, turns):
    """`turns`: whose agent is taken over from, and by what binary."""
    load = Load(lab)
    plain = Traffic(lambda: lab.legacy.curl(
        f"http://{lab.server.ip4}/").outcome)
    listener = lab.server.listen(9000)
    held = opened(lab.client, lab.server.ip4, listener, 9000)
    for number, (side, binary) in enumerate(turns):
        old = lab.agents()[side]
        pair = opened(lab.client, lab.server.ip4, listener, 9000)
        begin = time.monotonic()
        takes_over(s, old, binary)
        s.check(f"takeover {number}: the peer's name of an open connection",
                pair[0].getpeername()[:2], (lab.server.ip4, 9000))
        s.that(f"takeover {number}: an open connection goes on", speaks(pair))
        for end in pair:
            end.close()
        ends(s, old, f"takeover {number}")
        s.that(f"takeover {number}: within the drain and some",
               time.monotonic() - begin < DRAIN + 60)
    s.that("a connection that nobody ends is ended at last",
           not still_speaks(held))
    number, failed = load.stop()
    plain.stop()
    s.check(f"{number} connections during {len(turns)} takeovers: those that "
            "failed", failed, [])
    s.that("there were some", number > 100)
    s.check("plaintext meanwhile", set(plain.seen()), {"refused"})
    listener.close()


def still_speaks(pair):
    try:
        return speaks(pair)
    except OSError:
        return False


# --- what goes wrong ------------------------------------------------------------


def ask(agent, **changes):
    """Asks for the hand-over as another agent would; the connection, the first
    line and the descriptors that came with it."""
    terms = {"bpfDir": agent.bpf_dir, "node": agent.node.name}
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(f"{agent.run_dir}/control.sock")
    connection.sendall(json.dumps({
        "command": "takeover", "args": {**terms, **changes}}).encode() + b"\n")
    data, control, _, _ = connection.recvmsg(65536, 4096)
    descriptors = array.array("i")
    for level, kind, payload in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(payload)
    return connection, json.loads(data.split(b"\n")[0]), list(descriptors)


def serves(lab):
    return get(lab.client, lab.vip4, 8000) == "200"


def failures(s, lab):
    agent = lab.agents()[1]
    third = agent.successor(takeover=False)
    third.launch()
    await_that("an agent that may not take over gives up",
               lambda: not third.running(), 60)
    s.check("a third agent without takeover: its exit", third.exit_status(), 1)
    s.that("and it says why", "uses it; stop that one" in third.log())

    connection, answer, _ = ask(agent, bpfDir="/sys/fs/bpf/other")
    s.check("one that pins elsewhere", (answer["ok"], answer["final"]),
            (False, True))
    s.that(f"and it says so: {answer['error']}", "bpfDir" in answer["error"])
    connection.close()
    s.that("the agent serves on", serves(lab))

    # A taker that is killed when it has everything.
    connection, answer, descriptors = ask(agent)
    s.check("a taker gets lock, control, metrics and readiness",
            (answer["ok"], len(descriptors)), (True, 4))
    other, busy, _ = ask(agent)
    s.check("a second taker meanwhile", (busy["ok"], busy["final"]),
            (False, False))
    other.close()
    # What changes now is made up for afterwards.
    late = lab.pod("mesh/late", "node-b")
    connection.close()
    for descriptor in descriptors:
        os.close(descriptor)
    lab.await_enrolled(late)
    s.that("a taker killed in the middle: the agent serves on", serves(lab))
    lab.delete_pod(late)

    # A real one, killed while the agent has not answered yet.
    new = agent.successor(takeover=True)
    agent.pause()
    new.launch()
    await_that("it asks", lambda: asks(new, agent), 60)
    new.kill()
    agent.go_on()
    await_that("served again", lambda: serves(lab))
    s.check("the agent of before runs", agent.running(), True)
    await_that("and says so", agent.serves)


def from_one_that_stops(s, lab):
    """It serves on while it drains, until another one does."""
    agent = lab.agents()[1]
    listener = lab.server.listen(9000)
    pair = opened(lab.client, lab.server.ip4, listener, 9000)
    load = Load(lab)
    agent.terminate()
    await_that("it stops", lambda: not agent.ready())
    takes_over(s, agent)
    s.that("from one that stops: an open connection goes on", speaks(pair))
    for end in (*pair, listener):
        end.close()
    ends(s, agent, "from one that stops")
    number, failed = load.stop()
    s.check(f"from one that stops: of {number} connections those that failed",
            failed, [])


def pins(lab, *versions):
    """What the nodes have in the kernel is of these versions."""
    for agent, version in zip(lab.agents(), versions):
        await_that(f"{agent.node.name} has nothing of another version",
                   lambda: agent.node.run("ls", agent.bpf_dir).stdout.split()
                   == [f"v{version}"])


def asks(new, agent):
    """Is there a connection from `new` to the control socket?"""
    done = agent.node.run("ss", "-xnpH")
    return f"pid={new.pid}," in done.stdout


def run(s):
    lab = s.trio(start=False)
    lab.server.serve_web(80)
    lab.apply("policy.yaml", policy("mesh", "STRICT"))
    for agent in lab.agents():
        agent.config["drain"] = f"{DRAIN}s"
    lab.start_agents()
    lab.await_enrolled(lab.server, lab.client)
    await_that("served", lambda: serves(lab))
    failures(s, lab)
    same, following = lab.binary, f"{os.path.dirname(lab.binary)}/nodeward-next"
    in_a_row(s, lab, [(1, same), (0, same), (1, same)])
    pins(lab, 1, 1)
    # An agent whose pins are of another version, on both sides, and back.
    in_a_row(s, lab, [(1, following), (0, following), (1, same)])
    pins(lab, 2, 1)
    from_one_that_stops(s, lab)
    agent = lab.agents()[1]
    s.check("the lock names the agent that serves",
            open(f"{agent.run_dir}/lock", encoding="ascii").read().strip(),
            str(agent.pid))
    s.that("its ports answer", agent.ready() and agent.metrics())
    # Of the later one nothing stays behind that the first one had.
    agent.kill()
    s.check("killed: closed", get(lab.client, lab.vip4, 8000) == "200", False)
    agent.binary = following
    agent.start()
    await_that("back", lambda: serves(lab))
    s.check("and plaintext is refused",
            lab.legacy.curl(f"http://{lab.server.ip4}/").outcome, "refused")
    pins(lab, 2, 2)


if __name__ == "__main__":
    main(run)
