#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many bytes over one connection, checked by sum.

stream.py source PORT BYTES       serves BYTES to whoever connects
stream.py sink PORT               takes all that comes, says how much
stream.py fetch IP PORT           connects, takes all, says how much
stream.py send IP PORT BYTES      connects, sends BYTES, waits for the end
stream.py sleeper PORT            accepts and never reads
"""
import socket
import sys
import time
import zlib

# One odd-sized pattern, so that lost and swapped pieces change the sum.
PATTERN = bytes(range(251)) * 1046


def pour(connection, count):
    total, checksum = 0, 0
    while total < count:
        piece = PATTERN[:count - total]
        connection.sendall(piece)
        checksum = zlib.crc32(piece, checksum)
        total += len(piece)
        if total % (64 * len(PATTERN)) == 0:
            print("poured", total, flush=True)
    print("sent", total, checksum, flush=True)


def drink(connection):
    total, checksum = 0, 0
    while data := connection.recv(1 << 20):
        total += len(data)
        checksum = zlib.crc32(data, checksum)
    print("received", total, checksum, flush=True)


def accepted(port):
    listener = socket.create_server(("", port), family=socket.AF_INET6,
                                    dualstack_ipv6=True)
    print("listening", flush=True)
    while True:
        yield listener.accept()[0]


def run(role, *arguments):
    if role in ("source", "sink", "sleeper"):
        for connection in accepted(int(arguments[0])):
            if role == "source":
                pour(connection, int(arguments[1]))
                connection.close()
            elif role == "sink":
                drink(connection)
                connection.close()
            else:
                print("accepted", flush=True)
                time.sleep(3600)
    connection = socket.create_connection((arguments[0], int(arguments[1])))
    if role == "fetch":
        drink(connection)
    else:
        pour(connection, int(arguments[2]))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


run(*sys.argv[1:])
