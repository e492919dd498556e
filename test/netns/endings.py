#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How connections end: half-close both ways, resets as resets, send-and-close,
for tunnels and for plaintext that is let in."""
import errno
import socket
import struct

from harness import main


def run(s):
    lab = s.trio()
    listener = lab.server.listen(80)
    for client, kind in ((lab.client, "mesh"), (lab.legacy, "legacy")):
        def opened(speak=True, pod=client):
            one = pod.connect(lab.vip4, 8000)
            if speak:
                one.sendall(b"hello")
            other, _ = listener.accept()
            other.settimeout(30)
            if speak:
                assert read(other, 5) == b"hello"
            return one, other

        one, other = opened()
        one.shutdown(socket.SHUT_WR)
        s.check(f"{kind}: client's half-close arrives", other.recv(1), b"")
        other.sendall(b"x" * 100000)
        other.close()
        s.check(f"{kind}: the answer after it is whole",
                len(read(one, 200000)), 100000)
        one.close()

        one, other = opened()
        other.sendall(b"bye")
        other.shutdown(socket.SHUT_WR)
        s.check(f"{kind}: server's half-close arrives", read(one, 100), b"bye")
        one.sendall(b"y" * 100000)
        one.close()
        s.check(f"{kind}: what the client says after it is whole",
                len(read(other, 200000)), 100000)
        other.close()

        one, other = opened()
        reset(one)
        s.check(f"{kind}: client's reset arrives", error_of(other), "reset")
        other.close()

        one, other = opened()
        reset(other)
        s.check(f"{kind}: server's reset arrives", error_of(one), "reset")
        one.close()

        # Send and close at once: nothing is lost on the way.
        whole = 0
        for _ in range(50):
            one = client.connect(lab.vip4, 8000)
            one.sendall(b"z" * 1000)
            one.close()
            other, _ = listener.accept()
            other.settimeout(30)
            whole += len(read(other, 2000)) == 1000
            other.close()
        s.check(f"{kind}: of 50 send-and-close clients, whole", whole, 50)

        # The server speaks first.
        one, other = opened(speak=False)
        other.sendall(b"220 ready")
        s.check(f"{kind}: the server's greeting", read(one, 9), b"220 ready")
        one.sendall(b"quit")
        s.check(f"{kind}: the client's answer", read(other, 4), b"quit")
        one.close()
        other.close()

        # Urgent small messages in turn.
        one, other = opened()
        for number in range(200):
            message = struct.pack("!Q", number)
            one.sendall(message)
            assert read(other, 8) == message
            other.sendall(message)
            assert read(one, 8) == message
        s.that(f"{kind}: 200 times there and back", True)
        one.close()
        other.close()
    listener.close()


def read(connection, wanted):
    """Until `wanted` bytes are there or the stream ends."""
    data = b""
    while len(data) < wanted:
        more = connection.recv(wanted - len(data))
        if not more:
            break
        data += more
    return data


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
    connection.close()


def error_of(connection):
    try:
        return "end of stream" if not connection.recv(1) else "data"
    except OSError as error:
        return ("reset" if error.errno == errno.ECONNRESET
                else errno.errorcode[error.errno])


if __name__ == "__main__":
    main(run)
