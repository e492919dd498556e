#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""grpc_client.py TARGET: one channel, so one connection. Reads commands, a
line each, and answers each with a line of JSON: what came, or the status."""
import json
import queue
import sys

import grpc

channel = grpc.insecure_channel(
    sys.argv[1], options=[("grpc.enable_http_proxy", 0)])
open_stream = None


def kept():
    """A stream both ways that stays open: say() goes through it."""
    asked = queue.Queue()
    answers = channel.stream_stream("/test.Echo/Both")(iter(asked.get, None))
    return asked, answers


def call(command, word):
    global open_stream
    data = word.encode()
    if command == "unary":
        reply, done = channel.unary_unary("/test.Echo/Unary").with_call(
            data, timeout=30, wait_for_ready=True)
        return [reply.decode(), dict(done.trailing_metadata())]
    if command == "big":
        reply = channel.unary_unary("/test.Echo/Unary")(
            b"x" * int(word), timeout=60)
        return len(reply)
    if command == "down":
        return len(list(channel.unary_stream("/test.Echo/Down")(
            data, timeout=30)))
    if command == "up":
        return channel.stream_unary("/test.Echo/Up")(
            iter([data, data, data]), timeout=30).decode()
    if command == "who":
        return channel.unary_unary("/test.Echo/Who")(
            b"", timeout=30, metadata=(("x-forwarded-client-cert", "URI=no"),)
        ).decode()
    if command == "fail":
        return channel.unary_unary("/test.Echo/Fail")(b"", timeout=30).decode()
    if command == "health":
        return channel.unary_unary("/grpc.health.v1.Health/Check")(
            b"", timeout=30).hex()
    if command == "say":
        open_stream = open_stream or kept()
        open_stream[0].put(data)
        return next(open_stream[1]).decode()
    raise SystemExit(f"unknown command {command}")


for line in sys.stdin:
    name, _, argument = line.strip().partition(" ")
    try:
        print(json.dumps(call(name, argument)), flush=True)
    except grpc.RpcError as error:
        print(json.dumps([error.code().name, error.details()]), flush=True)
