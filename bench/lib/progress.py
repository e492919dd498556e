# SPDX-License-Identifier: Apache-2.0
"""What the person at the terminal sees while it runs."""
import sys
import time


class Progress:
    def __init__(self):
        self._began = time.monotonic()
        self._terminal = sys.stdout.isatty()
        self._passing = False

    def say(self, text):
        """A line that stays, with the time since the start."""
        self._wipe()
        spent = int(time.monotonic() - self._began)
        print(f"[{spent // 60:2}:{spent % 60:02}] {text}", flush=True)

    def passing(self, text):
        """A line that the next one replaces; shown on a terminal only."""
        self._wipe()
        if self._terminal and text:
            print(f"        {text[:70]}", end="\r", flush=True)
            self._passing = True

    def _wipe(self):
        if self._passing:
            print("\033[K", end="")
            self._passing = False
