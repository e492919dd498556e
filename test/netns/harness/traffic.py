# SPDX-License-Identifier: Apache-2.0
"""Attempts, one after another, each judged by when it was made."""
import threading
import time


class Traffic:
    """Calls `attempt` again and again on a thread of its own; it returns what
    it saw. The wall clock tells when, as it does for certificates."""

    def __init__(self, attempt, pause=0.05):
        self._attempt, self._pause = attempt, pause
        self._stop = threading.Event()
        self._seen = []  # (begin, end, what)
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self):
        while not self._stop.wait(self._pause):
            begin = time.time()
            what = self._attempt()
            self._seen.append((begin, time.time(), what))

    def stop(self):
        self._stop.set()
        self._thread.join()

    def seen(self, begin=0.0, end=float("inf")):
        """What was seen by attempts that lie between the two instants."""
        return [what for start, stop, what in list(self._seen)
                if begin <= start and stop <= end]

    def slowest(self):
        return max((stop - start for start, stop, _ in list(self._seen)),
                   default=0)


def opened(pod, address, listener, port):
    """Both ends of a connection that has carried something."""
    one = pod.connect(address, port)
    one.sendall(b"hello")
    other, _ = listener.accept()
    other.settimeout(30)
    assert other.recv(5) == b"hello"
    return one, other


def speaks(pair):
    one, other = pair
    one.sendall(b"there")
    if other.recv(5) != b"there":
        return False
    other.sendall(b"back")
    return one.recv(4) == b"back"


def ending(connection):
    """How it ends, within the socket's patience."""
    try:
        data = connection.recv(100)
        return "end of stream" if not data else data
    except ConnectionResetError:
        return "reset"
