#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nodeward tap: requests and answers as both agents see them pass, streams of
bytes, filters, two taps at once, and a reader that sleeps."""
import json
import re
import signal
import threading

import h2.config
import h2.connection
import h2.events
from harness import await_that, main
from harness.process import Process
from harness.web import REQUEST, answer, ask

RAW = 90    # no protocol declared: a socket of ours answers
MANY = 10_000
BATCH = 100
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
LINE = re.compile(
    r"(?P<event>req|rsp|end|open|close) id=(?P<base>\d+):(?P<stream>\d+) "
    r"proxy=(?P<proxy>in |out) src=(?P<src>\S+:\d+) dst=(?P<dst>\S+:\d+) "
    r"tls=(?P<tls>\w+)(?: (?P<rest>.*))?")


class Tap:
    """One `nodeward tap` on the node of `agent`."""

    def __init__(self, lab, agent, *words):
        self.log = f"{lab.folder}/tap-{lab.next_number()}.log"
        self.process = Process(agent.node.enter(
            agent.binary, "tap", *words, "--run-dir", agent.run_dir), self.log)

    def lines(self):
        return self.process.output().splitlines()

    def fields(self):
        found = [LINE.fullmatch(line) for line in self.lines()]
        return [one.groupdict() for one in found if one]

    def await_event(self, wanted, count=1):
        await_that(f"{count} of {wanted}", lambda: sum(
            wanted in line for line in self.lines()) >= count, 30)
        return self.fields()

    def interrupt(self):
        self.process.signal(signal.SIGINT)
        return self.process.wait(30)


def stage(s):
    lab = s.trio(service=(8000, 80))
    lab.server.ports = {"http": 80, "raw": RAW}
    lab.publish(lab.server)
    lab.server.serve_web(80)
    await_that("the server answers", lambda: lab.client.curl(
        f"http://{lab.vip4}:8000/").code == 200, 30)
    return lab


def start(lab, agent, *words):
    """A tap that is known to look: what is asked until then is forgotten."""
    tap = Tap(lab, agent, *words)
    await_that("the tap looks", lambda: lab.client.curl(
        f"http://{lab.vip4}:8000/ready").code == 200 and "/ready"
        in tap.process.output() or not tap.process.running(), 30)
    tap.seen = len(tap.lines())
    return tap


def both_sides(s, lab):
    taps = {"out": start(lab, lab.client.node.agent, "client", "-n", "mesh"),
            "in ": start(lab, lab.server.node.agent, "deploy/server", "-n",
                         "mesh")}
    s.check("a request", lab.client.curl(
        f"http://{lab.vip4}:8000/list?q=1&r=%20").code, 200)
    for proxy, tap in taps.items():
        lines = await_that("its three lines", lambda tap=tap: _of(
            tap, "/list?q=1&r=%20"), 30)
        request, response, end = lines
        s.check(f"proxy={proxy}: events", [one["event"] for one in lines],
                ["req", "rsp", "end"])
        s.check("of one id", len({(one["base"], one["stream"])
                                  for one in lines}), 1)
        s.check("proxy", {one["proxy"] for one in lines}, {proxy})
        s.check("tls", {one["tls"] for one in lines}, {"true"})
        s.check("from", request["src"].rpartition(":")[0], lab.client.ip4)
        s.check("to", request["dst"], f"{lab.server.ip4}:80")
        s.check("request", request["rest"], f":method=GET :authority="
                f"{lab.vip4}:8000 :path=/list?q=1&r=%20")
        s.that("response", re.fullmatch(r":status=200 latency=\d+µs",
                                        response["rest"]))
        s.that("end", re.fullmatch(
            rf"duration=\d+µs response-length={len(lab.client.ip4) + 1}B",
            end["rest"]))
        s.check("Ctrl-C: exit status", tap.interrupt(), 0)
        s.check("and no complaint", [line for line in tap.lines()
                                     if line.startswith("nodeward")], [])


def _of(tap, path):
    """The events of the request to `path`, once it has ended."""
    fields = tap.fields()
    ids = {(one["base"], one["stream"]) for one in fields
           if one["event"] == "req" and one["rest"].endswith(":path=" + path)}
    found = [one for one in fields if (one["base"], one["stream"]) in ids]
    return found if [one for one in found if one["event"] == "end"] else None


def filters(s, lab):
    agent = lab.server.node.agent
    post = start(lab, agent, "ns/mesh", "--path", "/", "-o", "wide")
    only = Tap(lab, agent, "pod/server", "-n", "mesh", "--path", "/only",
               "--method", "GET", "--authority", "there", "-o", "json")
    header = ("-H", "Host: there")

    def shown():
        lab.client.curl(f"http://{lab.vip4}:8000/only/x", *header)
        return "/only/x" in only.process.output()
    await_that("what was asked for", shown, 30)
    lab.client.curl(f"http://{lab.vip4}:8000/other", *header)
    lab.client.curl(f"http://{lab.vip4}:8000/only/y")
    lab.client.curl(f"http://{lab.vip4}:8000/only/z", *header, "--head")
    lab.client.curl(f"http://{lab.vip4}:8000/only/end", *header)
    await_that("the last", lambda: "/only/end" in only.process.output(), 30)
    post.await_event(":path=/only/end")
    s.check("exit status", only.interrupt(), 0)
    events = [json.loads(line) for line in only.lines()]
    s.check("only what was asked for", {one["path"] for one in events
                                        if one["event"] == "req"},
            {"/only/x", "/only/end"})
    s.check("its fields", {key: events[0][key] for key in (
        "event", "proxy", "tls", "method", "authority", "src_pod",
        "src_namespace", "src_identity", "dst_pod", "dst_service")}, {
            "event": "req", "proxy": "in", "tls": "true", "method": "GET",
            "authority": "there", "src_pod": "client",
            "src_namespace": "mesh",
            "src_identity": "spiffe://cluster.local/ns/mesh/sa/client",
            "dst_pod": "server", "dst_service": "server"})
    s.that("the other one, at the same time, saw all", all(
        any(f":path={path} " in line for line in post.lines())
        for path in ("/other", "/only/y", "/only/z", "/only/x")))
    s.that("wide names the pods", any(
        "src_pod=client src_workload=client src_namespace=mesh "
        "src_identity=client.mesh dst_pod=server" in line
        for line in post.lines()))
    lab.legacy.curl(f"http://{lab.server.ip4}:80/plain")
    fields = post.await_event(":path=/plain ")
    s.check("plaintext", {one["tls"] for one in fields
                          if ":path=/plain " in (one["rest"] or "")},
            {"no_tls_from_remote"})
    s.check("exit status of the other", post.interrupt(), 0)
    to = start(lab, lab.client.node.agent, "--to", "svc/server",
               "--to-namespace", "mesh")
    s.check("--to", {one["proxy"] for one in to.fields()}, {"out"})
    to.interrupt()
    for words, told in (
            (("deploy/nobody", "-n", "mesh"), "there are deploy/"),
            (("deploy/server", "-n", "nowhere"), "there are ns/mesh"),
            (("server", "-n", "legacy"), "there is no"),
            (("pod/client", "-n", "mesh"), "ask the agent of node-a"),
            (("secret/x",), "cannot be tapped"),
            (("ns/legacy",), "is not in the mesh")):
        done = agent.command("tap", *words)
        s.check(f"tap {words[0]}: exit status", done.returncode, 1)
        s.that(f"tap {words[0]} says {told!r}: {done.stderr.strip()}",
               told in done.stderr)


def bytes_only(s, lab):
    with lab.server.listen(RAW) as listener:
        tap = start(lab, lab.server.node.agent, "ns/mesh")
        client = lab.client.connect(lab.server.ip4, RAW)
        client.sendall(b"*1\r\n$4\r\nPING\r\n\x1b]0;x\x07")
        server, _ = listener.accept()
        server.settimeout(30)
        got = b""
        while len(got) < 20:
            got += server.recv(100)
        s.check("the bytes", got, b"*1\r\n$4\r\nPING\r\n\x1b]0;x\x07")
        opened = tap.await_event("open id=")[-1]
        s.check("open", (opened["event"], opened["tls"], opened["dst"]),
                ("open", "true", f"{lab.server.ip4}:{RAW}"))
        server.sendall(b"+PONG\r\n")
        s.check("the answer", client.recv(100), b"+PONG\r\n")
        server.close()
        client.close()
        closed = tap.await_event("close id=")[-1]
        s.check("close", re.sub(r"=\d+µs", "=Nµs", closed["rest"]),
                "outcome=closed duration=Nµs sent=20B received=7B")
        s.check("of one id", (closed["base"], closed["stream"]),
                (opened["base"], opened["stream"]))
        client = lab.client.connect(lab.server.ip4, RAW)
        client.sendall(b"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n")
        server, _ = listener.accept()
        server.close()
        client.close()
        tap.await_event("close id=", 2)
        s.that("no escape reaches the terminal",
               "\x1b" not in tap.process.output())
        tap.interrupt()


class H2:
    """One end of HTTP/2 over a socket, for one exchange at a time."""

    def __init__(self, connection, client):
        self.socket = connection
        self.state = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=client))
        self.state.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.state.data_to_send())

    def send(self, stream, headers, body=None, trailers=None):
        self.state.send_headers(stream, headers, end_stream=body is None)
        if body is not None:
            self.state.send_data(stream, body, end_stream=trailers is None)
        if trailers:
            self.state.send_headers(stream, trailers, end_stream=True)
        self.flush()

    def await_end(self):
        """Until the other end has ended a stream; its number."""
        while True:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("no end of the stream")
            ends = [event for event in self.state.receive_data(data)
                    if isinstance(event, h2.events.StreamEnded)]
            self.flush()
            if ends:
                return ends[0].stream_id


def grpc(s, lab):
    """HTTP/2 of prior knowledge, as gRPC speaks it, on a port of bytes."""
    path = "/emojivoto.v1.EmojiService/ListAll"
    with lab.server.listen(RAW) as listener:
        taps = {"out": start(lab, lab.client.node.agent, "ns/mesh"),
                "in ": start(lab, lab.server.node.agent, "ns/mesh")}
        connection = lab.client.connect(lab.server.ip4, RAW)
        client = H2(connection, client=True)
        accepted, _ = listener.accept()
        accepted.settimeout(30)
        server = H2(accepted, client=False)
        client.send(1, [(":method", "POST"), (":scheme", "http"),
                        (":authority", "emoji-svc.emojivoto:8080"),
                        (":path", path), ("te", "trailers")], b"\0" * 5)
        s.check("a stream that ended", server.await_end(), 1)
        server.send(1, [(":status", "200")], b"1234567",
                    [("grpc-status", "0")])
        s.check("the answer", client.await_end(), 1)
        for proxy, tap in taps.items():
            lines = await_that("its lines", lambda tap=tap: _of(tap, path), 30)
            s.check(f"gRPC, proxy={proxy}",
                    [(one["event"], one["tls"], re.sub(
                        r"=\d+µs", "=Nµs", one["rest"])) for one in lines],
                    [("req", "true", ":method=POST :authority="
                      f"emoji-svc.emojivoto:8080 :path={path}"),
                     ("rsp", "true", ":status=200 latency=Nµs"),
                     ("end", "true", "grpc-status=OK duration=Nµs "
                      "response-length=7B")])
            tap.interrupt()
        accepted.close()
        connection.close()


def serve_many(listener):
    server, _ = listener.accept()
    server.settimeout(60)
    left, held = MANY, b""
    while left:
        data = server.recv(65536)
        if not data:
            break
        held += data
        count = held.count(b"\r\n\r\n")
        held = held[held.rfind(b"\r\n\r\n") + 4:] if count else held
        server.sendall(ANSWER * count)
        left -= count
    server.close()


def pump(lab):
    """MANY requests on one connection; how many were answered as they must."""
    with lab.server.listen(RAW) as listener:
        thread = threading.Thread(target=serve_many, args=(listener,))
        thread.start()
        client = lab.client.connect(lab.server.ip4, RAW)
        good = 0
        for _ in range(MANY // BATCH):
            client.sendall(REQUEST * BATCH)
            got = b""
            while len(got) < len(ANSWER) * BATCH:
                data = client.recv(65536)
                if not data:
                    break
                got += data
            good += got.count(ANSWER)
        client.close()
        thread.join()
    return good


def sleeping_reader(s, lab):
    agent = lab.server.node.agent
    tap = start(lab, agent, "ns/mesh", "--max-rps", "1000000")
    await_that("what was asked before has its end", lambda: _quiet(tap), 30)
    before = agent.memory()
    tap.process.signal(signal.SIGSTOP)
    s.check(f"{MANY} requests while the reader sleeps: answered",
            pump(lab), MANY)
    s.that("the agent has kept a bounded number of them",
           agent.memory() - before < 64 << 20)
    tap.process.signal(signal.SIGCONT)
    s.check("Ctrl-C: exit status", tap.interrupt(), 0)
    lines = tap.lines()
    told = re.search(r"nodeward tap: (\d+) lines were lost", lines[-1])
    s.that("it says what was lost", told)
    shown = sum(one["dst"].endswith(f":{RAW}") for one in tap.fields())
    s.check("shown and lost", shown + int(told[1]) if told else 0, 3 * MANY)
    s.note(f"{shown} lines shown")


def _quiet(tap):
    """Whether each request has its end."""
    events = [one["event"] for one in tap.fields()]
    return 0 < events.count("req") == events.count("end")


def limited(s, lab):
    tap = start(lab, lab.server.node.agent, "ns/mesh", "--max-rps", "5")
    s.check(f"{MANY} requests: answered", pump(lab), MANY)
    s.check("Ctrl-C: exit status", tap.interrupt(), 0)
    told = re.search(r"nodeward tap: (\d+) requests were left out",
                     tap.process.output())
    shown = sum(one["event"] == "req" and one["dst"].endswith(f":{RAW}")
                for one in tap.fields())
    s.that("--max-rps leaves most of them out and says so",
           told and int(told[1]) + shown >= MANY and shown < MANY // 10)


def agent_ends(s, lab):
    agent = lab.server.node.agent
    tap = start(lab, agent, "ns/mesh")
    kept = lab.client.connect(lab.server.ip4, 80)
    s.check("a connection that the tap sees", ask(kept)[0], 200)
    kept.sendall(REQUEST)
    s.check("goes on", answer(kept)[0], 200)
    kept.close()
    agent.kill()
    s.check("the agent killed: exit status", tap.process.wait(30), 1)
    s.that("why", "the agent has ended" in tap.process.output())
    done = agent.command("tap")
    s.check("no agent: exit status", done.returncode, 1)
    s.that("why", "agent is not running?" in done.stderr)


def tap_(s):
    lab = stage(s)
    both_sides(s, lab)
    filters(s, lab)
    bytes_only(s, lab)
    grpc(s, lab)
    sleeping_reader(s, lab)
    limited(s, lab)
    agent_ends(s, lab)


if __name__ == "__main__":
    main(tap_)
