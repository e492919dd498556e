# SPDX-License-Identifier: Apache-2.0
"""Being in another network namespace for a moment, on this thread."""
import contextlib
import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def _setns(fd):
    if _LIBC.setns(fd, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def entered(netns):
    """Sockets made inside belong to the namespace /run/netns/<netns>."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def write_sysctls(netns, values):
    """Sets {"net.ipv4.ip_forward": 1, …} in the namespace."""
    with entered(netns):
        for name, value in values.items():
            path = "/proc/sys/" + name.replace(".", "/")
            with open(path, "w", encoding="ascii") as file:
                file.write(str(value))
