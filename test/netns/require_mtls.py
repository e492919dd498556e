#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No plaintext from a namespace that requires mutual TLS to the mesh, by the
kernel, whatever a container with NET_RAW and NET_ADMIN does: packets made by
hand, marks, devices, namespaces and rules of its own. What is opened from
elsewhere, what goes elsewhere and what the agent sends pass."""
import socket
import struct

from harness import await_that, main, run
from harness.entering import entered

LABEL = {"nodeward.io/outbound": "require-mtls"}
ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86dd
GOOD = "200, exit 0"


def run_all(s):
    lab = s.cluster()
    lab.namespace("mesh", mesh="enabled")
    lab.namespace("careful", mesh="enabled", labels=LABEL)
    lab.namespace("legacy")
    lab.peer = lab.pod("mesh/peer", "node-b")
    lab.careful = lab.pod("careful/client", "node-a")
    lab.free = lab.pod("mesh/client", "node-a")
    lab.legacy = lab.pod("legacy/server", "node-b")
    lab.vip, _ = lab.service("mesh/peer", {"tcp": (8000, 80)})
    lab.start_agents()
    lab.await_enrolled(lab.peer, lab.careful, lab.free)
    for pod in (lab.peer, lab.legacy, lab.careful):
        pod.serve_web(80)
    ordinary(s, lab)
    raw(s, lab)
    disguised(s, lab)
    forwarded(s, lab)
    answers(s, lab)
    unknown(s, lab)
    changes(s, lab)
    agent_gone(s, lab)


def ordinary(s, lab):
    for host in (lab.peer.ip4, f"[{lab.peer.ip6}]", f"{lab.vip}:8000"):
        s.check(f"mutual TLS to {host}",
                str(lab.careful.curl(f"http://{host}/")), GOOD)
    for host in (lab.legacy.ip4, f"[{lab.legacy.ip6}]"):
        s.check(f"plaintext out of the mesh to {host}",
                str(lab.careful.curl(f"http://{host}/")), GOOD)
    s.check("nothing was refused", refused(lab), 0)


# --- packets made by hand ------------------------------------------------------

def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packed(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address)


def segment(source, target, port, flags=2, source_port=4444):
    """A TCP header that its receiver takes."""
    head = struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 5 << 4, flags,
                       1000, 0, 0)
    pseudo = packed(source) + packed(target) + struct.pack(
        "!II", len(head), socket.IPPROTO_TCP)
    return head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]


def ipv4(source, target, payload, fragment=0):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64,
                       socket.IPPROTO_TCP, 0) + packed(source) + packed(target)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source, target, payload, following=socket.IPPROTO_TCP):
    return struct.pack("!IHBB", 6 << 28, len(payload), following, 64) + packed(
        source) + packed(target) + payload


def neighbour(pod, address):
    """The link-layer address that `pod` sends to for `address`."""
    hop = pod.node.bridge6 if ":" in address else pod.node.bridge4
    pod.run("ping", "-c1", "-W5", hop)
    told = pod.run("ip", "neigh", "show", hop).stdout.split()
    return bytes.fromhex(told[told.index("lladdr") + 1].replace(":", ""))


def frame(pod, address, tags=0):
    """An Ethernet header; `tags`: of VLAN 0, which is none."""
    with open(f"/sys/class/net/{pod.interface()}/address",
              encoding="ascii") if False else _address(pod) as own:
        source = bytes.fromhex(own.read().strip().replace(":", ""))
    kind = ETH_P_IPV6 if ":" in address else ETH_P_IP
    return neighbour(pod, address) + source + struct.pack(
        "!HH", 0x8100, 0) * tags + struct.pack("!H", kind)


