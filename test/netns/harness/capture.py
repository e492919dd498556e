# SPDX-License-Identifier: Apache-2.0
"""What goes over a wire, as tcpdump sees it."""
import signal

from .process import Process, await_that


class Capture:
    """Records one interface of a namespace from construction until stop()."""

    def __init__(self, netns, interface, path, expression=""):
        self.path = path
        self._process = Process(
            ["nsenter", f"--net=/run/netns/{netns}", "tcpdump", "-Z", "root",
             "-i", interface, "-s", "0", "-U", "--immediate-mode", "-n",
             "-B", "16384", "-w", path, *expression.split()], path + ".log")
        await_that("tcpdump listens", lambda: "listening on"
                   in self._process.output() or not self._process.running())
        if not self._process.running():
            raise RuntimeError("tcpdump: " + self._process.output())

    def holds(self, text):
        """Was `text` seen in the clear so far?"""
        with open(self.path, "rb") as file:
            return text.encode() in file.read()

    def stop(self):
        self._process.signal(signal.SIGINT)
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
