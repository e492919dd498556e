# SPDX-License-Identifier: Apache-2.0
"""One pod: a network namespace with a veth to its node's bridge."""
import dataclasses
import os
import socket

from .entering import entered, write_sysctls
from .node import APPS
from .process import Process, await_that, run


@dataclasses.dataclass
class Reply:
    """What curl got: its exit code, the status (0: none), the body."""
    exit: int
    code: int
    body: str

    def __str__(self):
        return f"{self.code:03d}, exit {self.exit}"

    @property
    def outcome(self):
        """As str(), but "refused" where a tunnel was refused: the reset may
        come before curl looks at its connection (7), while it sends (55) or
        while it awaits an answer (56)."""
        refused = self.code == 0 and self.exit in (7, 55, 56)
        return "refused" if refused else str(self)


class Pod:
    """Made by Cluster.pod(); `ip4`, `ip6` are its addresses."""

    def __init__(self, cluster, node, namespace, name, addresses):
        self.cluster, self.node = cluster, node
        self.namespace, self.name = namespace, name
        self.netns = f"{cluster.prefix}-{namespace}-{name}"
        self.ip4, self.ip6 = addresses
        self.processes = []
        self._interface = f"p{cluster.next_number()}"
        run("ip", "netns", "add", self.netns)
        write_sysctls(self.netns, {
            "net.ipv6.conf.all.accept_redirects": 0,
            "net.ipv6.conf.default.accept_redirects": 0,
            "net.ipv6.conf.default.accept_dad": 0,
        })
        node.ip(f"""
link add {self._interface} type veth peer name eth0 netns {self.netns}
link set {self._interface} master pods0 up
""")
        run("ip", "-n", self.netns, "-batch", "-", stdin=f"""
link set lo up
addr add {self.ip4}/32 dev eth0
addr add {self.ip6}/128 dev eth0 nodad
link set eth0 up
route add {node.bridge4} dev eth0
route add default via {node.bridge4}
route add {node.bridge6} dev eth0
route add default via {node.bridge6}
""")

    @property
    def full_name(self):
        return f"{self.namespace}/{self.name}"

    def enter(self, *command):
        """The command line that runs `command` in the pod. Where the cluster
        has names, /etc/resolv.conf is the pod's own; a slave mount, else the
        program would keep deleted namespaces alive."""
        line = ["nsenter", f"--net=/run/netns/{self.netns}"]
        if self.cluster.dns:
            line += ["unshare", "--mount", "--propagation", "slave", "sh", "-c",
                     'mount --bind "$0" /etc/resolv.conf && '
                     'mount --bind "$1" /etc/nsswitch.conf && '
                     'shift && exec "$@"',
                     self.cluster.resolv_conf(self),
                     self.cluster.nsswitch_conf()]
        return [*line, *command]

    def run(self, *command, **options):
        return run(*self.enter(*command), **options)

    def spawn(self, *command, key=None, **options):
        """Starts a program in the pod; it ends with the pod."""
        key = key or os.path.basename(str(command[0]))
        log = (f"{self.cluster.folder}/{self.namespace}-{self.name}-{key}-"
               f"{len(self.processes)}.log")
        process = Process(self.enter(*command), log, **options)
        self.processes.append(process)
        return process

    def app(self, name, *arguments, ready=None, **options):
        """Starts apps/<name>.py; waits until it has printed `ready`."""
        process = self.spawn("/usr/bin/python3", "-u", f"{APPS}/{name}.py",
                             *arguments, key=name, **options)
        if ready:
            await_that(f"{name} in {self.full_name} prints {ready!r}",
                       lambda: ready in process.output()
                       or not process.running())
            if ready not in process.output():
                raise RuntimeError(f"{name}: {process.output()}")
        return process

    def serve_web(self, *ports):
        """An HTTP server, both families; its answer names the client."""
        return self.app("web", *ports, ready="listening")

    def curl(self, url, *options, timeout=15):
        done = self.run("curl", "--silent", "--globoff", "--max-time", timeout,
                        "--write-out", "\n%{http_code}", *options, url,
                        check=False, timeout=timeout + 30)
        body, _, code = done.stdout.rpartition("\n")
        return Reply(done.returncode, int(code or 0), body)

    # --- sockets of this pod in the hands of the harness --------------------

    def open_socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
        with entered(self.netns):
            made = socket.socket(family, kind, proto)
        made.settimeout(30)
        return made

    def listen(self, port, family=socket.AF_INET, backlog=1024):
        listener = self.open_socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(backlog)
        return listener

    def connect(self, address, port, source=None):
        """A connected socket; raises what connect() raises."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self.open_socket(family)
        try:
            if source:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.bind(source)
            made.connect((address, port))
        except OSError:
            made.close()
            raise
        return made

    def interface(self):
        """The node's end of the veth."""
        return self._interface

    def end(self):
        """Ends its programs and its namespace, as the runtime would."""
        for process in self.processes:
            process.kill()
        self.processes.clear()
        run("ip", "netns", "del", self.netns, check=False)
