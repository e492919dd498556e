# SPDX-License-Identifier: Apache-2.0
"""HTTP over a socket that is already connected, kept open."""
import re

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def ask(connection, request=REQUEST):
    """Sends one request and reads its answer: (status, body)."""
    connection.sendall(request)
    return answer(connection)


def answer(connection):
    """Reads this one answer and nothing of the next."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _receive(connection, 1)
    length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
    body = b""
    while len(body) < length:
        body += _receive(connection, length - len(body))
    return int(head.split()[1]), body.decode().strip()


def _receive(connection, size):
    data = connection.recv(size)
    if not data:
        raise ConnectionResetError("the answer ends too early")
    return data
