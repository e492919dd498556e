# SPDX-License-Identifier: Apache-2.0
"""Programs: run to the end, or kept until stopped; and waiting for things."""
import ctypes
import os
import signal
import subprocess
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    """Nothing outlives a harness that is killed itself."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(*command, check=True, stdin=None, timeout=120):
    """Runs a command to its end; the result has returncode, stdout, stderr."""
    done = subprocess.run([str(word) for word in command], input=stdin,
                          text=True, capture_output=True, timeout=timeout,
                          check=False, preexec_fn=_die_with_parent)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit "
                           f"{done.returncode}\n{done.stdout}{done.stderr}")
    return done


def await_that(what, predicate, deadline=20, pause=0.02):
    """Polls until `predicate()` is true and returns what it gave."""
    end = time.monotonic() + deadline
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not within {deadline} s: {what}")
        time.sleep(pause)


class Process:
    """A program that runs until stop(); its output goes to a file.

    It leads a session of its own: what it forks ends with it, and a Ctrl-C at
    the terminal reaches the harness first.
    """

    def __init__(self, command, log, stdin=None, cgroup=None, env=None,
                 pass_fds=()):
        self.command = [str(word) for word in command]
        self.log_path = log

        def prepare():
            _die_with_parent()
            if cgroup:
                with open(f"{cgroup}/cgroup.procs", "w",
                          encoding="ascii") as procs:
                    procs.write(str(os.getpid()))

        with open(log, "wb") as output:
            self._popen = subprocess.Popen(
                self.command, stdin=stdin or subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
                preexec_fn=prepare, env=env, pass_fds=pass_fds)

    @property
    def pid(self):
        return self._popen.pid

    def exit_status(self):
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def running(self):
        return self._popen.poll() is None

    def wait(self, timeout=60):
        return self._popen.wait(timeout)

    def signal(self, number):
        if self.running():
            self._popen.send_signal(number)

    def kill(self):
        """SIGKILL, and all that it forked; returns when it is gone."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._popen.wait(20)

    def stop(self, patience=5):
        """SIGTERM, and SIGKILL when that does not end it; exit status."""
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        self.kill()
        return self._popen.returncode

    def output(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()
