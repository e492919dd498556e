#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rejects every include that the table in src/CMakeLists.txt does not allow."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
table = (root / "src/CMakeLists.txt").read_text()
rooms = {}
for body in re.findall(r"^nodeward_room\((.*?)\)", table, re.S | re.M):
    words = body.split()
    room, key = {"LAYER": [], "DEPS": [], "HOME": [], "LIBS": [],
                 "THROWS": []}, "LAYER"
    for word in words[1:]:
        if word in room:
            key = word
        else:
            room[key].append(word)
    rooms[words[0]] = room

bad = []
for name, room in rooms.items():
    for dep in room["DEPS"]:
        if int(rooms[dep]["LAYER"][0]) >= int(room["LAYER"][0]):
            bad.append(f"{name} lists {dep}, which is not of a lower layer")
homes = {h: {n for n, r in rooms.items() if h in r["HOME"]}
         for r in rooms.values() for h in r["HOME"]}

for path in sorted((root / "src").rglob("*.[hc]*")):
    if path.suffix not in (".h", ".cc") or path.parent == root / "src":
        continue
    name = path.relative_to(root / "src").parts[0]
    if name not in rooms:
        bad.append(f"{path}: room {name} is not in the layer table")
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.relative_to(root)}:{number}"
        if ours := re.match(r'#include "([a-z]+)/', line):
            target = ours[1]
            if target in rooms and target != name \
                    and target not in rooms[name]["DEPS"]:
                bad.append(f"{where}: {name} may not include {target}")
        elif theirs := re.match(r"#include [<\"]([A-Za-z0-9_.+-]+)", line):
            home = homes.get(theirs[1])
            if home and name not in home:
                bad.append(f"{where}: <{theirs[1]}> has its home in "
                           + ", ".join(sorted(home)))
for path in sorted((root / "include").rglob("*.h")):
    if re.search(r'#include "(?!nodeward/)', path.read_text()):
        bad.append(f"{path.relative_to(root)}: contracts include only "
                   "contracts")
for line in bad:
    print(line)
print(f"{len(rooms)} rooms, {len(bad)} forbidden includes")
sys.exit(1 if bad else 0)
