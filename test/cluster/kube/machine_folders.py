# SPDX-License-Identifier: Apache-2.0
"""The folders of this machine that nodes mount over."""
import fcntl
import os

_FOLDERS = ("/var/lib/cni", "/var/lib/kubelet", "/var/lib/containerd",
            "/var/log/pods", "/var/log/containers", "/etc/cni", "/opt/cni")
# Names those that were made; every cluster holds it.
_MADE = "/run/nodeward-cluster-folders"


class MachineFolders:
    """Those that a machine has never had are made by its first cluster and
    removed by its last: a folder that is removed takes the mounts over it
    away from everybody's nodes (Linux 3.18)."""

    def __init__(self):
        while True:
            self._file = open(_MADE, "a+", encoding="ascii")
            fcntl.flock(self._file, fcntl.LOCK_SH)
            if os.path.exists(_MADE) and os.path.samestat(
                    os.fstat(self._file.fileno()), os.stat(_MADE)):
                break
            self._file.close()  # the last of before has just removed it
        for folder in _FOLDERS:
            if not os.path.exists(folder):
                os.makedirs(folder, exist_ok=True)
                self._file.write(folder + "\n")
        self._file.flush()

    def close(self):
        with self._file as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            file.seek(0)
            for folder in file.read().split():
                try:
                    os.rmdir(folder)
                except OSError:
                    pass  # somebody else's things are in it
            os.unlink(_MADE)
