#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stops files that have outgrown one noun: .cc at 600 lines, .h at 350."""
import pathlib
import sys

root = pathlib.Path(sys.argv[1])
limits = {".cc": 600, ".h": 350, ".c": 600}
bad = 0
for folder in ("src", "include", "bpf"):
    for path in sorted((root / folder).rglob("*")):
        limit = limits.get(path.suffix)
        if limit is None:
            continue
        lines = len(path.read_text().splitlines())
        if lines > limit:
            print(f"{path.relative_to(root)}: {lines} lines, limit {limit}")
            bad += 1
print(f"{bad} files over the limit")
sys.exit(1 if bad else 0)
