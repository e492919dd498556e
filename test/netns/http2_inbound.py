#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 on the way in: Node's server asked with curl, gRPC's server with
gRPC's client, in the mesh and from outside it. Each request of a connection is
judged on its own, and streams live on beside what is denied."""
import json
import os
import re

import h2.config
import h2.connection
import h2.events

from harness import await_that, main

DENIED = "RBAC: access denied"
GRPC, WEB, PLAIN = 50051, 8080, 8081
H2 = "--http2-prior-knowledge"


class Channel:
    """gRPC's client in a pod, kept: one connection."""

    def __init__(self, pod, target):
        reader, self._writer = os.pipe()
        self._process = pod.app("grpc_client", target, stdin=reader)
        os.close(reader)
        self._answers = 0

    def ask(self, command, word=""):
        os.write(self._writer, f"{command} {word}\n".encode())
        self._answers += 1
        lines = await_that(f"gRPC answers {command}", lambda: (
            self._whole_lines() if len(self._whole_lines()) >= self._answers
            else None), 60)
        return json.loads(lines[self._answers - 1])

    def _whole_lines(self):
        return [line for line in self._process.output().split("\n")[:-1]
                if line[:1] in "[\"0123456789"]

    def close(self):
        os.close(self._writer)
        self._process.wait()


class Connection:
    """HTTP/2 by python3-h2, one request after the other on one connection
    (curl 7.88 fails on the second with prior knowledge)."""

    def __init__(self, pod, address, port):
        self.socket = pod.connect(address, port)
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()

    def ask(self, path, method="GET"):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, (
            (":method", method), (":scheme", "http"), (":path", path),
            (":authority", "server")), end_stream=True)
        status, body = None, b""
        while True:
            self.socket.sendall(self.h2.data_to_send())
            data = self.socket.recv(65536)
            if not data:
                return status, "the connection ended"
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    self.h2.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamReset):
                    return status, f"reset {int(event.error_code)}"
                elif isinstance(event, h2.events.StreamEnded):
                    self.socket.sendall(self.h2.data_to_send())
                    return status, body.decode().strip()


def stage(s):
    lab = s.cluster()
    for name in ("mtls-test", "full"):
        lab.namespace(name, mesh="enabled")
    lab.namespace("legacy")
    lab.server = lab.pod("mtls-test/server", "node-b", ports={
        "grpc": GRPC, "http2-web": WEB, "http-web": PLAIN})
    for name in ("full", "legacy"):
        lab.pod(f"{name}/sleep", "node-a")
    lab.start_agents()
    lab.sleep = {pod.namespace: pod for pod in lab.pods.values()
                 if pod.name == "sleep"}
    lab.await_enrolled(lab.server, lab.sleep["full"])
    lab.server.app("grpc_server", GRPC, ready="listening")
    script = os.path.join(os.path.dirname(__file__), "apps", "h2_server.js")
    for port in (WEB, PLAIN):
        node = lab.server.spawn("node", script, port)
        await_that("Node listens", lambda n=node: "listening" in n.output())
    return lab


def url(lab, path, port=WEB):
    return f"http://{lab.server.ip4}:{port}{path}"


def authorization(operation, name="policy", **source):
    rule = {"to": [{"operation": operation}]} if operation else {}
    if source:
        rule["from"] = [{"source": source}]
    return {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": name, "namespace": "mtls-test"},
            "spec": {"selector": {"matchLabels": {"app": "server"}},
                     "action": "DENY", "rules": [rule]}}


def with_curl(s, lab):
    for who in ("full", "legacy"):
        curl = lab.sleep[who].curl
        for port in (WEB, PLAIN):
            reply = curl(url(lab, "/headers", port), H2, "-H",
                         "X-Forwarded-Client-Cert: URI=forged", "-H",
                         "X_Forwarded_Client_Cert: URI=forged")
            s.check(f"{who}: GET, port {port}", str(reply), "200, exit 0")
            names = json.loads(reply.body)
            s.check("the path and no forged name", (
                names[":path"], names.get("x_forwarded_client_cert")),
                ("/headers", None))
            found = re.fullmatch(
                'By=spiffe://cluster.local/ns/mtls-test/sa/server;'
                'Hash=[0-9a-f]{64};Subject="";'
                'URI=spiffe://cluster.local/ns/full/sa/sleep',
                names.get("x-forwarded-client-cert", ""))
            s.check("who the client is", bool(found), who == "full")
        for size in (0, 1, 100_000, 5_000_000):
            reply = curl(url(lab, f"/bytes/{size}"), H2)
            s.check(f"{who}: {size} bytes", (str(reply), len(reply.body)),
                    ("200, exit 0", size))
        upload = "x" * 3_000_000
        done = lab.sleep[who].run(
            "curl", "-s", H2, "--data-binary", "@-", url(lab, "/echo"),
            stdin=upload, check=False)
        s.that(f"{who}: 3 MB there and back", done.stdout == upload)
        reply = curl(url(lab, "/hints"), H2, "-i")
        s.that(f"{who}: an interim response", "HTTP/2 103" in reply.body
               and "link: <s>" in reply.body and reply.code == 200)
        s.check(f"{who}: a reset", curl(url(lab, "/reset"), H2).exit, 92)
        kept = Connection(lab.sleep[who], lab.server.ip4, WEB)
        first = kept.ask("/session")
        s.check(f"{who}: two on one connection", (
            first[0], kept.ask("/session")), (200, first))
        two = curl(url(lab, "/session"), H2, url(lab, "/goaway"))
        s.that(f"{who}: another connection after GOAWAY", len(set(
            re.findall("session ([0-9]+)", two.body))) == 2)


def with_grpc(s, lab):
    target = f"{lab.server.ip4}:{GRPC}"
    for who in ("full", "legacy"):
        channel = Channel(lab.sleep[who], target)
        s.check(f"{who}: one for one", channel.ask("unary", "hello"),
                ["hello", {"x-trailer": "behind"}])
        s.check(f"{who}: 3 MB", channel.ask("big", "3000000"), 3000000)
        s.check(f"{who}: many for one", channel.ask("down", "1000"), 1000)
        s.check(f"{who}: one for many", channel.ask("up", "a"), "a+a+a")
        s.check(f"{who}: both ways", [channel.ask("say", word)
                                      for word in ("a", "b")], ["A", "B"])
        s.check(f"{who}: an error of the application's own",
                channel.ask("fail"), ["FAILED_PRECONDITION", "on purpose"])
        s.check(f"{who}: health", channel.ask("health"), "0801")
        xfcc = channel.ask("who")
        s.check(f"{who}: is named to the application", re.sub(
            ".*;URI=", "", xfcc), "spiffe://cluster.local/ns/full/sa/sleep"
            if who == "full" else "")
        s.that("and nobody forged it", "URI=no" not in xfcc)
        judged(s, lab, who, channel)
        channel.close()


def judged(s, lab, who, channel):
    """A policy counts from the next request on, and for no other."""
    s.check(f"{who}: a stream", channel.ask("say", "before"), "BEFORE")
    lab.apply("authz.yaml", authorization({"paths": ["/test.Echo/Unary"]}))
    refused = ["PERMISSION_DENIED", DENIED]
    await_that("the policy holds", lambda: channel.ask("unary", "x")
               == refused)
    s.check(f"{who}: the stream lives on", channel.ask("say", "during"),
            "DURING")
    s.check(f"{who}: other methods are allowed", channel.ask("health"),
            "0801")
    s.check(f"{who}: this one is not", channel.ask("unary", "x"), refused)
    lab.remove("authz.yaml")
    await_that("the policy is gone", lambda: channel.ask("unary", "x")
               == ["x", {"x-trailer": "behind"}])
    s.check(f"{who}: still the same stream", channel.ask("say", "after"),
            "AFTER")


def denied(s, lab):
    lab.apply("authz.yaml", authorization({"paths": ["/echo", "/x"]}))
    curl = lab.sleep["full"].curl
    await_that("the policy holds", lambda: curl(
        url(lab, "/x"), H2).code == 403)
    for who in ("full", "legacy"):
        curl = lab.sleep[who].curl
        reply = curl(url(lab, "/echo"), H2, "-d", "x")
        s.check(f"{who}: denied", (str(reply), reply.body),
                ("403, exit 0", DENIED))
        reply = curl(url(lab, "/a/../%78"), H2, "--path-as-is")
        s.check(f"{who}: in another spelling", str(reply), "403, exit 0")
        kept = Connection(lab.sleep[who], lab.server.ip4, WEB)
        s.check(f"{who}: denied on a connection", kept.ask("/x"),
                (403, DENIED))
        s.check(f"{who}: which goes on", kept.ask("/hints")[0], 200)
        done = lab.sleep[who].run(
            "curl", "-s", H2, "--data-binary", "@-", url(lab, "/echo"),
            stdin="x" * 600_000, check=False)
        s.check(f"{who}: after a body", done.stdout, DENIED)
    agent = lab.server.node.agent
    s.that("the access log names the request", await_that(
        "it is logged", lambda: "POST /echo: denied by DENY" in agent.log()))
    s.that("metrics count them", sum(
        value for key, value in agent.metrics().items()
        if "nodeward_http_requests_refused_total" in key
        and "denied_request" in key) >= 8)
    lab.remove("authz.yaml")
    await_that("the policy is gone", lambda: curl(
        url(lab, "/x"), H2).code == 200)


def run(s):
    lab = stage(s)
    with_curl(s, lab)
    with_grpc(s, lab)
    denied(s, lab)


if __name__ == "__main__":
    main(run)
