# SPDX-License-Identifier: Apache-2.0
"""A cgroup for each node's pods, as the kubelet has one, so that the connect
hooks of an agent see its own node's pods and nobody else's."""
import os
import pathlib
import re
import time

from lib.process import Failure


def mount_point():
    """Where cgroup v2 is mounted."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] == "cgroup2":
            return pathlib.Path(before.split()[4])
    raise Failure("no cgroup2 file system is mounted: "
                  "mount -t cgroup2 none /sys/fs/cgroup")


class Cgroups:
    def __init__(self, prefix):
        self.root = mount_point() / prefix
        self._made = []

    def of(self, name):
        folder = self.root / name
        if folder not in self._made:
            for path in (self.root, folder):
                path.mkdir(exist_ok=True)
            self._made.append(folder)
        return folder

    def remove(self):
        for folder in self._made + [self.root]:
            _remove(folder)
        self._made.clear()


def sweep(prefix):
    """Removes what runs that are no more have left."""
    for folder in mount_point().glob(f"{prefix}*"):
        found = re.fullmatch(rf"{prefix}(\d+)", folder.name)
        if found and not pathlib.Path("/proc", found.group(1)).exists():
            for inner in [path for path in folder.iterdir() if path.is_dir()]:
                _remove(inner)
            _remove(folder)


def _remove(folder):
    # A process that was just killed is still counted for a moment.
    for _ in range(100):
        try:
            os.rmdir(folder)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
