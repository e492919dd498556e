#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No plaintext from a namespace that requires mutual TLS to the mesh, by the
kernel, whatever a container with NET_RAW and NET_ADMIN does: packets made by
hand, or a network of its own behind the pod's. What others open, what goes
elsewhere and what the agent sends passes."""
import socket

from harness import await_that, main, run
from harness.entering import entered, write_sysctls
from harness.packets import Sniffer, frame, ipv4, ipv6, syn

LABEL = {"nodeward.io/outbound": "require-mtls"}
GOOD = "200, exit 0"


def run_scenario(s):
    lab = s.cluster()
    lab.namespace("mesh", mesh="enabled")
    lab.namespace("careful", mesh="enabled", labels=LABEL)
    lab.namespace("legacy")
    lab.peer = lab.pod("mesh/peer", "node-b")
    lab.careful = lab.pod("careful/client", "node-a")
    lab.free = lab.pod("mesh/client", "node-a")
    lab.legacy = lab.pod("legacy/server", "node-b")
    lab.vip, _ = lab.service("mesh/peer", {"tcp": (8000, 80)})
    lab.ports = iter(range(42000, 43000))
    lab.start_agents()
    lab.await_enrolled(lab.peer, lab.careful, lab.free)
    for pod in (lab.peer, lab.legacy, lab.careful):
        pod.serve_web(80)
    what_passes(s, lab)
    by_hand(s, lab)
    network_behind(s, lab)
    without_an_agent(s, lab)
    label_removed(s, lab)


def refused(lab):
    return lab.careful.node.agent.metrics().get(
        'nodeward_bpf_verdicts_total{verdict="guard_refused"}', 0)


def what_passes(s, lab):
    for host in (lab.peer.ip4, f"[{lab.peer.ip6}]", f"{lab.vip}:8000"):
        s.check(f"mutual TLS to {host}",
                str(lab.careful.curl(f"http://{host}/")), GOOD)
    s.check("all of it", lab.careful.node.agent.edge(lab.careful, lab.peer),
            "√")
    for host in (lab.legacy.ip4, f"[{lab.legacy.ip6}]"):
        s.check(f"plaintext out of the mesh, to {host}",
                str(lab.careful.curl(f"http://{host}/")), GOOD)
    for client in (lab.legacy, lab.free):
        s.check(f"its own server answers {client.full_name}",
                str(client.curl(f"http://{lab.careful.ip4}/")), GOOD)
    s.check("refused of that", refused(lab), 0)


# --- packets made by hand ------------------------------------------------------

def packets(lab, pod, four, six, vip):
    """(what, packets) of connections that `pod` opens by hand, each from a port
    of its own, with that port."""
    def v4(target, port, **more):
        number = next(lab.ports)
        tcp = syn(pod.ip4, target, number, port)
        if more.get("fragments"):
            # The flags are in the second one.
            return number, [ipv4(pod.ip4, target, tcp[:8], 0x2000),
                            ipv4(pod.ip4, target, tcp[8:], 1)]
        return number, [ipv4(pod.ip4, target, tcp)]

    def v6(target, port, options=False):
        number = next(lab.ports)
        tcp = syn(pod.ip6, target, number, port)
        if options:  # destination options with padding
            return number, [ipv6(pod.ip6, target,
                                 b"\x06\x00\x01\x04\0\0\0\0" + tcp, 60)]
        return number, [ipv6(pod.ip6, target, tcp)]

    return (("a SYN", *v4(four, 80)), ("a SYN in IPv6", *v6(six, 80)),
            ("a SYN to the Service", *v4(vip, 8000)),
            ("a SYN in fragments", *v4(four, 80, fragments=True)),
            ("a SYN behind an extension header", *v6(six, 80, True)))


def send_raw(pod, packet, mark=0):
    four = packet[0] >> 4 == 4
    family = socket.AF_INET if four else socket.AF_INET6
    with pod.open_socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
        to = socket.inet_ntop(family, packet[16:20] if four else packet[24:40])
        raw.sendto(packet, (to, 0))


def send_frame(pod, packet, target, tags):
    """As it stands on the wire, with tags of VLAN 0, which is none."""
    with pod.open_socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("eth0", 0))
        wire.send(frame(pod, target, tags) + packet)


def by_hand(s, lab):
    peer = lab.peer
    with Sniffer(peer) as sniffer:
        # Each gets through from a pod that may.
        for what, port, made in packets(lab, lab.free, peer.ip4, peer.ip6,
                                        lab.vip):
            for packet in made:
                send_raw(lab.free, packet)
            s.that(f"{what}, from a pod that may", sniffer.awaits(port))
        port = next(lab.ports)
        send_frame(lab.free, ipv4(lab.free.ip4, peer.ip4, syn(
            lab.free.ip4, peer.ip4, port, 80)), peer.ip4, 1)
        s.that("a SYN in a VLAN that is none, from a pod that may",
               sniffer.awaits(port))
        evil = []
        for mark in (0, 0x111, 0x539):
            for what, port, made in packets(lab, lab.careful, peer.ip4,
                                            peer.ip6, lab.vip):
                for packet in made:
                    send_raw(lab.careful, packet, mark)
                evil.append((f"{what}, mark {mark:#x}", port))
        for tags in (1, 2, 3):
            port = next(lab.ports)
            send_frame(lab.careful, ipv4(lab.careful.ip4, peer.ip4, syn(
                lab.careful.ip4, peer.ip4, port, 80)), peer.ip4, tags)
            evil.append((f"a SYN behind {tags} tags", port))
        # Behind all of them on the same way: one that passes.
        last = next(lab.ports)
        send_raw(lab.careful, ipv4(lab.careful.ip4, peer.ip4, syn(
            lab.careful.ip4, peer.ip4, last, 15008)))
        last6 = next(lab.ports)
        send_raw(lab.careful, ipv6(lab.careful.ip6, peer.ip6, syn(
            lab.careful.ip6, peer.ip6, last6, 15008)))
        s.that("to the tunnels' port", sniffer.awaits(last)
               and sniffer.awaits(last6))
        for what, port in evil:
            s.check(what, "seen" if port in sniffer.ports else "dropped",
                    "dropped")
    s.that("each is counted", refused(lab) >= 15)


# --- a network behind the pod's ------------------------------------------------

def network_behind(s, lab):
    """As containers in containers have: connections of a namespace that nobody
    has enrolled are forwarded through the pod's."""
    pod, inner = lab.careful, f"{lab.prefix}-inner"
    run("ip", "netns", "add", inner)
    try:
        run("ip", "-n", pod.netns, "-batch", "-", stdin=f"""
link add inner0 type veth peer name eth0 netns {inner}
addr add 172.31.9.1/24 dev inner0
link set inner0 up
""")
        run("ip", "-n", inner, "-batch", "-", stdin="""
link set lo up
addr add 172.31.9.2/24 dev eth0
link set eth0 up
route add default via 172.31.9.1
""")
        write_sysctls(pod.netns, {"net.ipv4.ip_forward": 1})
        pod.run("nft", "-f", "-", stdin="""
table ip inner {
  chain out {
    type nat hook postrouting priority srcnat
    ip saddr 172.31.9.0/24 masquerade
  }
}
""")
        with entered(inner):
            one, two = (socket.socket() for _ in range(2))
        with one, two:
            one.settimeout(20)
            one.connect((lab.legacy.ip4, 80))
            s.that("from behind the pod, out of the mesh", True)
            before = refused(lab)
            two.setblocking(False)
            two.connect_ex((lab.peer.ip4, 80))
            s.that("from behind the pod, to the mesh: refused", await_that(
                "counted", lambda: refused(lab) > before))
            try:
                s.check("and not connected", str(two.getpeername()), "no peer")
            except OSError:
                s.that("and not connected", True)
    finally:
        run("ip", "netns", "del", inner)


# --- without an agent, without the label -----------------------------------------

def arrives(lab, sniffer, port):
    """Does a SYN made by hand get through? Judged by one behind it that does."""
    pod, peer = lab.careful, lab.peer
    number, last = next(lab.ports), next(lab.ports)
    for source, target in ((number, port), (last, 15008)):
        send_raw(pod, ipv4(pod.ip4, peer.ip4, syn(pod.ip4, peer.ip4, source,
                                                  target)))
    sniffer.awaits(last)
    return number in sniffer.ports


def without_an_agent(s, lab):
    agent = lab.careful.node.agent
    with Sniffer(lab.peer) as sniffer:
        s.check("with the agent", arrives(lab, sniffer, 80), False)
        agent.kill()
        s.check("the agent killed", arrives(lab, sniffer, 80), False)
        agent.start()
        lab.await_enrolled(lab.careful)
        s.check("the next one", arrives(lab, sniffer, 80), False)
    s.check("and mutual TLS again",
            str(lab.careful.curl(f"http://{lab.peer.ip4}/")), GOOD)


def label_removed(s, lab):
    with Sniffer(lab.peer) as sniffer:
        lab.namespace("careful", mesh="enabled")
        s.that("without the label", await_that(
            "it arrives", lambda: arrives(lab, sniffer, 80)))
        lab.namespace("careful", mesh="enabled", labels=LABEL)
        s.that("with it again", await_that(
            "it is dropped", lambda: not arrives(lab, sniffer, 80)))
        lab.namespace("careful", mesh="disabled", labels=LABEL)
        s.that("out of the mesh", await_that(
            "it arrives", lambda: arrives(lab, sniffer, 80)))
        lab.namespace("careful", mesh="enabled", labels=LABEL)
        lab.await_enrolled(lab.careful)
        s.that("in it again", await_that(
            "it is dropped", lambda: not arrives(lab, sniffer, 80)))
        lab.careful.node.agent.stop()
        lab.careful.node.agent.uninstall()
        s.check("uninstalled", arrives(lab, sniffer, 80), True)


if __name__ == "__main__":
    main(run_scenario)
