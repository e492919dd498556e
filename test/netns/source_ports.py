#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that do more than connect(): a bound source port to two peers, a
bound device, MPTCP, TCP fast open, a second connect() on one socket."""
import socket

from harness import answer, ask, main

IPPROTO_MPTCP = 262
TCP_FASTOPEN_CONNECT = 30


def run(s):
    lab = s.trio()
    lab.server.serve_web(80, 81)
    client, server = lab.client, lab.server

    # One source port, two destinations; and a third that is no mesh.
    outside = lab.pod("legacy/web", "node-b")
    outside.serve_web(80)
    ones = []
    for address, port in ((server.ip4, 80), (server.ip4, 81),
                          (lab.vip4, 8000), (outside.ip4, 80)):
        ones.append(client.connect(address, port, source=(client.ip4, 44444)))
        s.check(f"from port 44444 to {address}:{port}", ask(ones[-1])[1],
                client.ip4)
        s.check("its own name", ones[-1].getsockname(),
                (client.ip4, 44444))
    for one in ones:
        one.close()
    one = client.connect(server.ip6, 80, source=(client.ip6, 44444))
    s.check("the same over IPv6, one destination", ask(one)[1], client.ip6)
    one.close()

    s.check("curl --interface eth0", str(client.curl(
        f"http://{lab.vip4}:8000/", "--interface", "eth0")), "200, exit 0")
    s.check("curl --interface eth0, v6", str(client.curl(
        f"http://[{lab.vip6}]:8000/", "--interface", "eth0")), "200, exit 0")
    s.check("curl --interface IP", str(client.curl(
        f"http://{lab.vip4}:8000/", "--interface", client.ip4)),
        "200, exit 0")
    s.check("curl --local-port", str(client.curl(
        f"http://{lab.vip4}:8000/", "--local-port", "45000")), "200, exit 0")

    one = client.open_socket(proto=IPPROTO_MPTCP)
    one.connect((lab.vip4, 8000))
    s.check("MPTCP", ask(one)[1], client.ip4)
    one.close()

    client.run("sh", "-c", "echo 3 > /proc/sys/net/ipv4/tcp_fastopen")
    one = client.open_socket()
    one.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    one.connect((lab.vip4, 8000))
    s.check("TCP_FASTOPEN_CONNECT", ask(one)[1], client.ip4)
    one.close()
    one = client.open_socket()
    one.settimeout(None)
    one.sendto(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", socket.MSG_FASTOPEN,
               (lab.vip4, 8000))
    s.check("sendto(MSG_FASTOPEN)", answer(one)[1], client.ip4)
    one.close()

    one = client.open_socket()
    one.setblocking(False)
    one.connect_ex((lab.vip4, 8000))
    one.settimeout(30)
    s.check("non-blocking", ask(one)[1], client.ip4)
    one.close()

    s.check("to a pod outside the mesh", str(client.curl(
        f"http://{outside.ip4}/")), "200, exit 0")
    one = client.connect(outside.ip4, 80)
    s.check("getpeername() of it", one.getpeername(), (outside.ip4, 80))
    one.close()


if __name__ == "__main__":
    main(run)
