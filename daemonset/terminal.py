# SPDX-License-Identifier: Apache-2.0
"""Steps on a terminal: what was expected, what was seen, how long it took."""
import sys
import time


class Terminal:
    """Prints sections and steps and counts those that went wrong."""

    def __init__(self, color):
        color = color and sys.stdout.isatty()
        self._good, self._bad, self._dim, self._bold, self._plain = (
            ("\033[32m", "\033[31m", "\033[2m", "\033[1m", "\033[0m")
            if color else ("",) * 5)
        self.steps = self.failures = 0
        self._section_began = None

    def section(self, title):
        self.end_section()
        print(f"{self._bold}── {title}{self._plain}", flush=True)
        self._section_began = time.monotonic()

    def end_section(self):
        if self._section_began is not None:
            print(f"   {self._dim}{time.monotonic() - self._section_began:.1f}"
                  f" s{self._plain}", flush=True)
            self._section_began = None

    def note(self, text):
        for line in text.rstrip("\n").split("\n"):
            print(f"   {self._dim}{line}{self._plain}", flush=True)

    def show(self, text):
        for line in text.rstrip("\n").split("\n"):
            print(f"     {line}", flush=True)

    def step(self, what, expected, seen, good=None):
        """`good` is by default: seen is what was expected."""
        good = seen == expected if good is None else good
        self.steps += 1
        self.failures += 0 if good else 1
        sign = f"{self._good}✔" if good else f"{self._bad}✘"
        print(f" {sign}{self._plain} {what:<58} {seen}", flush=True)
        if not good:
            print(f"   {self._bad}expected: {expected}{self._plain}",
                  flush=True)
        elif str(seen) != str(expected):
            print(f"   {self._dim}expected: {expected}{self._plain}",
                  flush=True)

    def within(self, what, limit, seconds):
        """A step that is good if it took no longer than `limit` seconds."""
        self.step(what, f"within {limit:g} s", f"{seconds:.2f} s",
                  seconds <= limit)

    def verdict(self):
        self.end_section()
        good = self.steps - self.failures
        color = self._bad if self.failures else self._good
        print(f"{color}{good} of {self.steps} steps as they must be"
              f"{self._plain}", flush=True)
