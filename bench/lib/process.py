# SPDX-License-Identifier: Apache-2.0
"""Commands and long-running processes, in network namespaces or not.

Every process started here is in a session of its own, so that Ctrl-C on the
terminal reaches the harness alone, and dies with the harness.
"""
import os
import pathlib
import signal
import subprocess
import time


class Failure(Exception):
    """Something for the person at the terminal: shown without a traceback."""


def in_netns(netns):
    # nsenter, not `ip netns exec`: that one mounts a /sys of its own and hides
    # the cgroup and BPF file systems.
    return ["nsenter", f"--net=/run/netns/{netns}", "--"] if netns else []


def run(*argv, netns=None, stdin=None, timeout=120, check=True):
    """Runs a command to its end and returns what it printed."""
    argv = in_netns(netns) + [str(word) for word in argv]
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout,
            start_new_session=True)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{' '.join(argv)}: no end within {timeout} s") from late
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-800:]
        raise Failure(f"{' '.join(argv)}: exit status {done.returncode}: "
                      f"{said}")
    return done.stdout


def await_that(what, condition, limit=20.0, pause=0.01):
    """Waits until condition() is true; Failure after `limit` seconds. A long
    wait is told even when it ends well."""
    began = time.monotonic()
    deadline = began + limit
    while True:
        found = condition()
        if found:
            spent = time.monotonic() - began
            if spent > 5:
                print(f"        (waited {spent:.1f} s for {what})", flush=True)
            return found
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {limit:g} s")
        time.sleep(pause)


class Process:
    """A process that runs until stop()."""

    running = []  # every one that is not stopped yet

    def __init__(self, argv, log, netns=None, cgroup=None, group=None,
                 talks=False):
        """`group`: a numeric group id to run under; `talks`: standard input
        and output are pipes (self.popen.stdin, .stdout); else both outputs go
        to the file `log`."""
        argv = in_netns(netns) + [str(word) for word in argv]
        # The death signal is set after the group: changing that clears it.
        argv = ["setpriv", "--pdeathsig", "KILL", "--"] + argv
        if group is not None:
            argv = ["setpriv", "--regid", str(group), "--clear-groups",
                    "--"] + argv
        if cgroup:
            argv = ["sh", "-c", f'echo $$ >{cgroup}/cgroup.procs && '
                    'exec "$@"', "sh"] + argv
        self.name = log.stem
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as output:
            self.popen = subprocess.Popen(
                argv, start_new_session=True, text=True,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else output, stderr=output)
        self.pid = self.popen.pid
        Process.running.append(self)

    def alive(self):
        return self.popen.poll() is None

    def tail(self):
        text = self.log.read_text(errors="replace").strip()
        return text[-600:] or "(it printed nothing)"

    def check(self):
        if not self.alive():
            raise Failure(f"{self.name} ended with status "
                          f"{self.popen.returncode}: {self.tail()}")

    def stop(self, grace=5.0):
        if self in Process.running:
            Process.running.remove(self)
        self._signal(signal.SIGTERM)
        try:
            self.popen.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        self._signal(signal.SIGKILL)  # those of its session that are left
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe:
                pipe.close()

    def _signal(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    @staticmethod
    def stop_all():
        for process in Process.running:
            process._signal(signal.SIGTERM)
        for process in list(reversed(Process.running)):
            process.stop(grace=3.0)


def _members(processes):
    """The process ids of all sessions that `processes` lead."""
    leaders = {process.pid for process in processes}
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii",
                      errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) in leaders:
            found.append((int(entry), fields))
    return found


_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(processes):
    """User and system time of the processes and their children so far."""
    ticks = sum(int(fields[11]) + int(fields[12])
                for _, fields in _members(processes))
    return ticks / _TICK


def cpu_nanoseconds(processes):
    """The same, as the scheduler counts it, for times far below a tick."""
    total = 0
    for pid, _ in _members(processes):
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{task}/schedstat",
                          encoding="ascii") as stat:
                    total += int(stat.read().split()[0])
            except OSError:
                continue  # a thread that has just ended
    return total


def pss_kb(processes):
    """Proportional set size of the processes and their children, in KB."""
    total = 0
    for pid, _ in _members(processes):
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            for line in rollup:
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
                    break
    return total


def listens(netns, port):
    """Does anything in the namespace listen on the TCP port?"""
    answer = run("ss", "-Htln", f"sport = :{port}", netns=netns)
    return bool(answer.strip())
