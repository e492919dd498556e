# SPDX-License-Identifier: Apache-2.0
"""An API server and a container runtime for one agent, as processes."""
import json
import os
import pathlib

from lib.process import Failure, Process, await_that

_BENCH = pathlib.Path(os.path.realpath(__file__)).parents[2]
_RUNTIME = _BENCH.parent / "test" / "cluster" / "kube" / "runtime.py"
_PORT = 6443


class ApiServer:
    """In the node's own network namespace; the bytes on its connection are the
    agent's."""

    def __init__(self, bench, node):
        self.folder = bench.workdir / f"api-{node.name}"
        self.folder.mkdir()
        certificate, key, _ = bench.authority.issue_server("127.0.0.1")
        (self.folder / "token").write_text("measured\n")
        self._roots = bench.authority.root_file
        self._sandboxes = {}
        self.tell_sandboxes()
        self._runtime = Process(
            ["/usr/bin/python3", _RUNTIME, self.folder / "cri.sock",
             self.folder / "sandboxes.json"], self.folder / "cri.log")
        self._process = Process(
            ["/usr/bin/python3", "-m", "lib.apiserver", _PORT, certificate,
             key], self.folder / "api.log", netns=node.netns, talks=True)
        await_that("the runtime's stand-in",
                   lambda: "listening" in self._runtime.tail())
        self._answer()

    def source(self):
        """What the agent's configuration says of it."""
        return {"kind": "kubernetes", "kubernetes": {
            "api": f"https://127.0.0.1:{_PORT}", "ca": str(self._roots),
            "token": str(self.folder / "token"),
            "daemonset": "nodeward-system/nodeward-agent"},
            "cri": f"unix://{self.folder}/cri.sock"}

    def do(self, what, **words):
        """A command of the program; its answer."""
        pipe = self._process.popen.stdin
        pipe.write(json.dumps({"do": what, **words}) + "\n")
        pipe.flush()
        return self._answer()

    def put(self, thing):
        """The moment it was sent."""
        return self.do("put", kind=thing["kind"], thing=thing)

    def put_pod(self, pod, thing):
        """One of this node, with the namespace that it has."""
        self._sandboxes[thing["metadata"]["uid"]] = {
            "netns": f"/run/netns/{pod.netns}", "ips": [pod.ip]}
        self.tell_sandboxes()
        return self.put(thing)

    def tell_sandboxes(self):
        file = self.folder / "sandboxes.json"
        file.with_suffix(".new").write_text(json.dumps(self._sandboxes))
        file.with_suffix(".new").rename(file)

    def await_settled(self, limit=300, meanwhile=lambda: None):
        """Until everything is followed and told."""
        await_that("all is told", lambda: (meanwhile(), self.do("settled"))[1],
                   limit)

    def _answer(self):
        line = self._process.popen.stdout.readline()
        if not line:
            self._process.popen.wait()
            raise Failure(f"the API server: {self._process.tail()}")
        return json.loads(line)

    def close(self):
        self._process.stop()
        self._runtime.stop()


def resident_kb(process, peak=False):
    """Resident memory, or the most that it was since forget_peak()."""
    return _kb(process, "VmHWM:" if peak else "VmRSS:")


def own_kb(process):
    """Memory that it shares with nobody, whoever else runs."""
    return _kb(process, "RssAnon:")


def _kb(process, name):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(name):
                return int(line.split()[1])
    raise Failure(f"{process.name} has no {name}")


def forget_peak(process):
    pathlib.Path(f"/proc/{process.pid}/clear_refs").write_text("5\n")
