# SPDX-License-Identifier: Apache-2.0
"""What the figures were measured on and with."""
import datetime
import os
import platform

from lib.install import BUILD, REPOSITORY
from lib.process import run
from lib.systems.base import version_of


def describe(command, plan, bench):
    versions = {
        "iperf3": version_of(["iperf3", "--version"], r"iperf (\S+)"),
        "wrk": _wrk(),
        "nginx": _both(["nginx", "-v"], r"nginx/(\S+)"),
        "haproxy": version_of(["haproxy", "-v"], r"version (\S+)")}
    if bench.envoy:
        versions["envoy"] = version_of([bench.envoy, "--version"],
                                       r"/([\d.]+)/")
    if bench.nodeward:
        versions["nodeward"] = _nodeward(bench.nodeward)
    return {
        "date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        "command": command,
        "quick": plan.quick,
        "machine": f"{_cpu()}, {os.cpu_count()} CPUs, {_memory()} GB",
        "system": f"{_distribution()}, Linux {platform.release()}",
        "load_before": os.getloadavg()[0],
        "versions": versions}


def _nodeward(program):
    if program != BUILD / "nodeward":
        return str(program)
    commit = run("git", "-C", REPOSITORY, "-c", f"safe.directory={REPOSITORY}",
                 "describe", "--always", "--dirty", "--abbrev=10",
                 check=False)
    return commit.strip() or "?"


def _cpu():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _memory():
    with open("/proc/meminfo", encoding="ascii") as info:
        return round(int(info.readline().split()[1]) / 1024 / 1024)


def _distribution():
    with open("/etc/os-release", encoding="utf-8") as release:
        for line in release:
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip().strip('"')
    return "Linux"


def _both(argv, pattern):
    """For programs that tell their version on standard error."""
    return version_of(["sh", "-c", f"{' '.join(argv)} 2>&1"], pattern)


def _wrk():
    return _both(["wrk", "-v"], r"wrk (\S+)")
