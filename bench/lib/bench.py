# SPDX-License-Identifier: Apache-2.0
"""One run: its folders, its network, its systems, and their removal."""
import os
import pathlib
import resource
import shutil
import signal
import tempfile

from lib import cgroup, install, topology
from lib.pki import Authority
from lib.process import Failure, Process, run
from lib.systems import ALL
from lib.systems.nodeward import Mesh
from lib.tools import Tools


_FOLDER = "nodeward-bench-"


class Bench:
    """Everything of one run; use as a context manager."""

    def __init__(self, plan, progress):
        self.plan = plan
        self.progress = progress
        self.descriptors = raise_descriptor_limit()
        self.network = topology.Network()
        self.cgroups = None
        self.systems = {}
        self._broken = {}  # name → why it could not be started
        self._shared = {}
        self.workdir = None
        self.authority = None
        self.tools = None
        self.envoy = None
        self.nodeward = None
        self._mesh = None
        self._bpf = None

    def __enter__(self):
        try:
            self._prepare()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _prepare(self):
        topology.sweep()
        cgroup.sweep(topology.PREFIX)
        self.cgroups = cgroup.Cgroups(self.network.prefix)
        _sweep_folders()
        self.workdir = pathlib.Path(
            tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
        self.workdir.chmod(0o755)
        self.authority = Authority(self.workdir / "pki")
        self.tools = Tools(self.workdir, install.build_load(self.progress))

    def __exit__(self, kind, error, trace):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.progress.say("cleaning up")
        # Each step, whatever becomes of the others.
        for step in (Process.stop_all, self.network.remove,
                     self._remove_folders):
            try:
                step()
            except (Failure, OSError) as failure:
                self.progress.say(f"  {failure}")

    def _remove_folders(self):
        if self._bpf:
            run("umount", "-l", self._bpf, check=False)
        if self.cgroups:
            self.cgroups.remove()
        if self.workdir:
            shutil.rmtree(self.workdir, ignore_errors=True)

    def mesh(self):
        if not self._mesh:
            self._mesh = Mesh(self)
        return self._mesh

    def bpf_mount(self):
        """A BPF file system of this run's own: what is pinned goes with it."""
        if not self._bpf:
            self._bpf = self.workdir / "bpf"
            self._bpf.mkdir()
            run("mount", "-t", "bpf", "bpf", self._bpf)
        return self._bpf

    def shared(self, kind):
        """The one kind(bench) of this run, made when first asked for."""
        if kind not in self._shared:
            self._shared[kind] = kind(self)
        return self._shared[kind]

    def drop_shared(self, kind):
        if kind in self._shared:
            self._shared.pop(kind).close()

    def system(self, name):
        """The system, all of it up. One that could not be started fails again,
        at once, whenever it is asked for."""
        if name in self._broken:
            raise Failure(self._broken[name])
        if name not in self.systems:
            self.progress.say(f"starting {name}")
            self.systems[name] = ALL[name](self)
            try:
                self.systems[name].start()
            except Failure as failure:
                self._broken[name] = f"it did not start: {failure}"
                raise
        self.systems[name].wake()
        return self.systems[name]

    def rest(self):
        """Stops all proxies until a system is asked for."""
        for system in self.systems.values():
            system.rest()


def _sweep_folders():
    """Removes the folders of runs that are no more."""
    for folder in pathlib.Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        owner = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if folder.stat().st_uid == 0 and owner.isdigit() and \
                not pathlib.Path("/proc", owner).exists():
            run("umount", "-l", folder / "bpf", check=False)
            shutil.rmtree(folder, ignore_errors=True)


def raise_descriptor_limit():
    """Takes what this user may have, and returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1048576
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        return wanted
    except (ValueError, PermissionError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard

