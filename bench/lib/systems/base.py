# SPDX-License-Identifier: Apache-2.0
"""What every compared system has: a client pod, a server pod, and whatever
stands between them."""
import pathlib
import re
import time

from lib.process import (Failure, Process, await_that, cpu_seconds, in_netns,
                         pss_kb, run)
from lib.tools import HTTP_PORT

MARKER = b"nodeward-bench-plaintext-marker."
TLS_APPLICATION_DATA = b"\x17\x03\x03"


class System:
    """One way to connect two pods. start() before all else; restart() gives
    fresh proxies; stop() ends all of its processes."""

    name = ""
    encrypts = True
    server_node = "b"

    def __init__(self, bench):
        self.bench = bench
        self.client = None
        self.server = None
        self._servers = []

    def start(self):
        network = self.bench.network
        self.client = network.node("a").add_pod(f"{self.name}-client")
        self.server = network.node(self.server_node).add_pod(
            f"{self.name}-server")
        self._servers = self.bench.tools.serve(self.server,
                                               self.cgroup(self.server))
        self.start_proxies()
        self.await_echo()
        await_that(f"{self.name}: nginx through it", self._reaches_nginx)
        self.verify_wire()

    def stop(self):
        self.stop_proxies()
        for process in self._servers:
            process.stop()
        self._servers = []

    def restart(self):
        self.stop_proxies()
        self.start_proxies()
        self.await_echo()

    # What a system fills in.

    def start_proxies(self):
        pass

    def stop_proxies(self):
        pass

    def rest(self):
        """Stops the proxies until wake(): memory that programs share would
        count for less in a scenario that starts more of them."""
        self.stop_proxies()

    def wake(self):
        """Starts what rest() has stopped; nothing when all is up."""

    def proxies(self):
        """The processes that carry this system's traffic."""
        return []

    def cgroup(self, pod):
        """Where the pod's processes live; None: anywhere."""
        del pod
        return None

    # What scenarios use.

    def in_client(self, *argv, timeout=120):
        return self.in_pod(self.client, *argv, timeout=timeout)

    def in_pod(self, pod, *argv, timeout=120):
        """Runs a command as the pod's application would run."""
        cgroup = self.cgroup(pod)
        enter = []
        if cgroup:
            enter = ["sh", "-c", f'echo $$ >{cgroup}/cgroup.procs && '
                     'exec "$@"', "sh"]
        return run(*enter, *in_netns(pod.netns), *argv, timeout=timeout)

    def check(self):
        """Failure when a proxy has ended."""
        for process in self.proxies():
            process.check()

    def cpu_seconds(self):
        return cpu_seconds(self.proxies())

    def pss_kb(self):
        return pss_kb(self.proxies())

    def await_echo(self):
        """One message there and back, however long it takes to come up."""
        failure = ""

        def answered():
            nonlocal failure
            self.check()
            try:
                return self.bench.tools.measure(
                    self, "pingpong", self.server.ip, seconds=0.01, warmup=0)
            except Failure as failed:
                failure = str(failed)
                return None

        try:
            await_that(f"an echo through {self.name}", answered, limit=15, pause=0.05)
        except Failure as late:
            raise Failure(f"{self.name}: no echo through it: "
                          f"{failure or late}") from late

    def _reaches_nginx(self):
        self.check()
        answer = self.in_client(
            "sh", "-c", "curl -s -m 5 -o /dev/null -w '%{http_code}' "
            f"http://{self.server.ip}:{HTTP_PORT}/1k || true")
        return answer == "200"

    def verify_wire(self):
        """Sends marked messages and looks at what leaves the client's pod: in
        the clear for a system that does not encrypt (so this check can fail),
        TLS records and no marker for all others."""
        seen = capture(self.bench.workdir, self.client, lambda:
                       self.bench.tools.measure(
                           self, "pingpong", self.server.ip, seconds=0.05,
                           warmup=0))
        clear = MARKER in seen
        if clear == self.encrypts:
            raise Failure(f"{self.name}: the messages "
                          f"{'crossed' if clear else 'did not cross'} the "
                          "wire in the clear")
        if self.encrypts and TLS_APPLICATION_DATA not in seen:
            raise Failure(f"{self.name}: no TLS record on the wire")


def capture(workdir, pod, act):
    """What passes the node's side of the pod's veth while act() runs."""
    file = pathlib.Path(workdir, f"{pod.name}.pcap")
    dump = Process(["tcpdump", "-i", pod.veth, "-Z", "root", "-U", "-s", "0",
                    "--immediate-mode", "-w", file, "tcp"],
                   pathlib.Path(workdir, "tcpdump.log"),
                   netns=pod.node.netns)
    await_that("tcpdump", lambda: dump.check() or
               "listening on" in dump.tail(), limit=10)
    act()
    await_that("captured packets", lambda: file.stat().st_size > 2000)
    time.sleep(0.05)
    dump.stop()
    dump.log.unlink()
    content = file.read_bytes()
    file.unlink()
    return content


def version_of(argv, pattern):
    """The first match of `pattern` in what a program says of itself."""
    found = re.search(pattern, run(*argv, check=False))
    return found.group(1) if found else "?"
