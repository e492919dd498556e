#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many connections at once.

many.py serve PORT            echoes one message a connection, for ever
many.py open COUNT IP PORT…   opens COUNT to each, sends a message over each,
                              checks the answers, holds them until killed
many.py short COUNT IP PORT   opens COUNT one after the other, each with a
                              message and its answer
"""
import resource
import select
import socket
import sys
import time


def raise_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(port):
    listener = socket.create_server(("", port), family=socket.AF_INET6,
                                    dualstack_ipv6=True, backlog=4096)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    open_ones = {}
    print("listening", flush=True)
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                one, _ = listener.accept()
                one.setblocking(False)
                open_ones[one.fileno()] = one
                poll.register(one, select.EPOLLIN)
                continue
            one = open_ones[number]
            try:
                data = one.recv(100)
            except OSError:
                data = b""
            if data:
                one.send(data)
            else:
                poll.unregister(one)
                open_ones.pop(number).close()


def open_many(count, address, ports):
    held, failures = [], {}
    for number in range(count):
        for port in ports:
            try:
                one = socket.create_connection((address, port), timeout=60)
                message = f"{number}:{port}".encode()
                one.sendall(message)
                if one.recv(100) != message:
                    raise OSError("not the echo")
                if one.getpeername()[:2] != (address, port):
                    raise OSError("wrong peer name")
                held.append(one)
            except OSError as error:
                failures[str(error)] = failures.get(str(error), 0) + 1
    print("held", len(held), "failures", failures, flush=True)
    time.sleep(3600)


def open_short(count, address, port):
    failures = {}
    for number in range(count):
        try:
            with socket.create_connection((address, port), timeout=60) as one:
                message = str(number).encode()
                one.sendall(message)
                if one.recv(100) != message:
                    raise OSError("not the echo")
        except OSError as error:
            failures[str(error)] = failures.get(str(error), 0) + 1
    print("done", count, "failures", failures, flush=True)


raise_limit()
if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
elif sys.argv[1] == "short":
    open_short(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
else:
    open_many(int(sys.argv[2]), sys.argv[3],
              [int(port) for port in sys.argv[4:]])
