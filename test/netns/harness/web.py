# SPDX-License-Identifier: Apache-2.0
"""HTTP over a socket that is already connected, kept open."""
import re

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def ask(connection, request=REQUEST):
    """Sends one request and reads its answer: (status, body)."""
    connection.sendall(request)
    return answer(connection)


def answer(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
    while len(body) < length:
        body += _more(connection)
    return int(head.split()[1]), body.decode().strip()


def _more(connection):
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError("the answer ends too early")
    return data
