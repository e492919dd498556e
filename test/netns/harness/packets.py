# SPDX-License-Identifier: Apache-2.0
"""Packets made by hand, and who sees them arrive."""
import socket
import struct
import threading

from .process import await_that

_IPV4, _IPV6 = 0x0800, 0x86dd
_EVERYTHING = socket.htons(0x0003)  # ETH_P_ALL


def _checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def _packed(address):
    return socket.inet_pton(
        socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def syn(source, target, source_port, port):
    """A TCP segment that opens a connection."""
    head = struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 5 << 4, 2, 1000,
                       0, 0)
    pseudo = _packed(source) + _packed(target) + struct.pack(
        "!II", len(head), socket.IPPROTO_TCP)
    return head[:16] + struct.pack("!H", _checksum(pseudo + head)) + head[18:]


def ipv4(source, target, payload, fragment=0):
    """`fragment`: the flags and the offset."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64,
                       socket.IPPROTO_TCP, 0) + _packed(source) + _packed(target)
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + payload


def ipv6(source, target, payload, following=socket.IPPROTO_TCP):
    return struct.pack("!IHBB", 6 << 28, len(payload), following, 64) + _packed(
        source) + _packed(target) + payload


def frame(pod, address, tags):
    """The Ethernet header of what `pod` sends to `address`, with so many tags
    of VLAN 0."""
    six = ":" in address
    hop = pod.node.bridge6 if six else pod.node.bridge4
    pod.run("ping", "-c1", "-W5", hop)
    told = pod.run("ip", "neigh", "show", hop).stdout.split()
    own = pod.run("ip", "-brief", "link", "show", "eth0").stdout.split()[2]
    return b"".join(bytes.fromhex(mac.replace(":", "")) for mac in (
        told[told.index("lladdr") + 1], own)) + struct.pack(
            "!HH", 0x8100, 0) * tags + struct.pack("!H",
                                                   _IPV6 if six else _IPV4)


class Sniffer:
    """Source ports of the TCP segments that arrive at a pod's eth0."""

    def __init__(self, pod):
        self.ports = set()
        self._socket = pod.open_socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                       _EVERYTHING)
        self._socket.bind(("eth0", 3))
        self._socket.settimeout(0.1)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        while not self._ending.is_set():
            try:
                self._note(self._socket.recv(65536))
            except TimeoutError:
                pass

    def _note(self, packet):
        if packet[0] >> 4 == 4:
            if struct.unpack_from("!H", packet, 6)[0] & 0x1fff == 0:
                self._note_port(packet[(packet[0] & 15) * 4:])
        elif packet[0] >> 4 == 6:
            rest = packet[40:]
            if packet[6] == 60:
                rest = rest[(rest[1] + 1) * 8:]
            self._note_port(rest)

    def _note_port(self, tcp):
        if len(tcp) >= 2:
            self.ports.add(struct.unpack_from("!H", tcp)[0])

    def awaits(self, port):
        try:
            return await_that(f"port {port} is seen",
                              lambda: port in self.ports, 10)
        except TimeoutError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()
        self._socket.close()
