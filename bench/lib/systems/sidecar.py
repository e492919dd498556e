# SPDX-License-Identifier: Apache-2.0
"""Sidecar mode: one proxy a pod, captured by iptables as Istio does it.

The rules are those of istio-iptables (tools/istio-iptables/pkg/capture), with
the proxy known by its group id: 15001 takes what the application sends, 15006
what comes in; what the proxy itself sends is left alone, and its onward
connections come from 127.0.0.6.
"""
from lib.process import Process, await_that, listens, run
from lib.systems.base import System

GROUP = 1337
OUTBOUND_PORT = 15001
INBOUND_PORT = 15006
ONWARD_SOURCE = "127.0.0.6"
NAMESPACE = "bench"

_RULES = f"""*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:ISTIO_INBOUND - [0:0]
:ISTIO_IN_REDIRECT - [0:0]
:ISTIO_OUTPUT - [0:0]
:ISTIO_REDIRECT - [0:0]
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A OUTPUT -p tcp -j ISTIO_OUTPUT
-A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15020 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15021 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15090 -j RETURN
-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT
-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports {INBOUND_PORT}
-A ISTIO_OUTPUT -s {ONWARD_SOURCE}/32 -o lo -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -m owner --gid-owner {GROUP} \
-j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner {GROUP} -j RETURN
-A ISTIO_OUTPUT -m owner --gid-owner {GROUP} -j RETURN
-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
-A ISTIO_OUTPUT -j ISTIO_REDIRECT
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports {OUTBOUND_PORT}
COMMIT
"""


def capture_pod(pod):
    run("iptables-restore", netns=pod.netns, stdin=_RULES)


def release_pod(pod):
    run("iptables", "-t", "nat", "-F", netns=pod.netns)


class Sidecar(System):
    """A proxy in the client's pod and one in the server's."""

    def __init__(self, bench):
        super().__init__(bench)
        self._proxies = []
        self._certificates = {}

    def start(self):
        self._certificates = {
            side: self.bench.authority.issue(NAMESPACE, f"{self.name}-{side}")
            for side in ("client", "server")}
        super().start()

    def start_proxies(self):
        self._proxies = [
            self.start_sidecar(self.client, "client", peer=self.server),
            self.start_sidecar(self.server, "server")]

    def start_sidecar(self, pod, side, peer=None):
        """A proxy in the pod, captured and listening, with the certificate of
        `side`; to the pod `peer` it speaks mutual TLS, to all others plain."""
        folder = self.bench.workdir / pod.name
        folder.mkdir(exist_ok=True)
        capture_pod(pod)
        process = Process(self.command(folder, side, peer),
                          folder / f"{self.name}.log", netns=pod.netns,
                          group=GROUP)
        for port in (OUTBOUND_PORT, INBOUND_PORT):
            await_that(f"{self.name} in {pod.name} on port {port}",
                       lambda: process.check() or listens(pod.netns, port))
        return process

    def stop_proxies(self):
        for process in self._proxies:
            process.stop()
        self._proxies = []

    def wake(self):
        if not self._proxies:
            self.start_proxies()

    def proxies(self):
        return self._proxies

    def command(self, folder, side, peer):
        """Writes the proxy's configuration and returns how to start it."""
        raise NotImplementedError
