#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What applications see of the connection: the addresses they asked for and
their own, and refusals where they are known at once."""
import errno
import socket

from harness import main


def run(s):
    lab = s.trio()
    listeners = {4: lab.server.listen(80), 6: listen6(lab.server, 80)}
    client, server = lab.client, lab.server
    for name, address, port, family in (
            ("VIP", lab.vip4, 8000, 4), ("pod", server.ip4, 80, 4),
            ("VIP", lab.vip6, 8000, 6), ("pod", server.ip6, 80, 6)):
        one = client.connect(address, port)
        other, _ = listeners[family].accept()
        own = client.ip4 if family == 4 else client.ip6
        theirs = server.ip4 if family == 4 else server.ip6
        what = f"v{family} {name}"
        s.check(f"{what}: getpeername() in the client",
                one.getpeername()[:2], (address, port))
        s.check(f"{what}: getsockname() in the client",
                one.getsockname()[0], own)
        s.check(f"{what}: getpeername() in the server",
                other.getpeername()[0], own)
        s.check(f"{what}: getsockname() in the server",
                other.getsockname()[:2], (theirs, 80))
        one.close()
        other.close()

    # An IPv4 destination through an IPv6 socket.
    mapped = client.open_socket(socket.AF_INET6)
    mapped.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    mapped.connect((f"::ffff:{lab.vip4}", 8000))
    other, _ = listeners[4].accept()
    s.check("v4-mapped: getpeername() in the client",
            mapped.getpeername()[:2], (f"::ffff:{lab.vip4}", 8000))
    s.check("v4-mapped: getsockname() in the client",
            mapped.getsockname()[0], f"::ffff:{client.ip4}")
    s.check("v4-mapped: getpeername() in the server",
            other.getpeername()[0], client.ip4)
    mapped.close()
    other.close()
    for listener in listeners.values():
        listener.close()

    # Dead ends that are known here fail connect() itself …
    vips = lab.service("mesh/empty", {"tcp": (8000, 80)}, {"app": "nobody"})
    lab.pod("mesh/late", "node-a")  # a change the agents must have seen
    lab.await_enrolled(lab.pods["mesh/late"])
    for address in vips:
        s.check(f"Service without an endpoint, {address}: connect()",
                outcome(client, address, 8000), "ECONNREFUSED")
    s.check("port that the Service does not have: connect()",
            outcome(client, lab.vip4, 8001), "ECONNREFUSED")
    # … others are a reset right after it, never an end of stream.
    for address in (lab.vip4, lab.vip6):
        s.check(f"closed application port behind {address}",
                outcome(client, address, 8000), "reset")
    s.check("closed application port, legacy",
            outcome(lab.legacy, server.ip4, 80), "reset")
    closed = f"http://{server.ip4}/"
    s.check("20 times curl of mesh on a closed application port",
            {client.curl(closed).outcome for _ in range(20)}, {"refused"})
    s.check("20 times curl of legacy on a closed application port",
            {lab.legacy.curl(closed).exit for _ in range(20)}, {56})


def listen6(pod, port):
    listener = pod.open_socket(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", port))
    listener.listen()
    return listener


def outcome(pod, address, port):
    """"ECONNREFUSED" and the like from connect(), or how it went on."""
    try:
        one = pod.connect(address, port)
    except ConnectionResetError:
        return "reset"  # so fast that it overtook the wait for connect()
    except OSError as error:
        return errno.errorcode[error.errno]
    try:
        one.sendall(b"x" * 10)
        return "end of stream" if not one.recv(1) else "data"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    finally:
        one.close()


if __name__ == "__main__":
    main(run)
