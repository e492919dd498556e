# SPDX-License-Identifier: Apache-2.0
"""How long and how often."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    quick: bool
    rounds: int            # of the scenarios whose figures drift
    memory_rounds: int     # of those that start fresh proxies
    seconds: int           # of one load
    idle_connections: int
    settle: float          # before memory is read
    rest: float            # over which CPU at rest is counted
    envoys: int            # started at most
    enrolments: int
    dials: int
    changes: int

    @staticmethod
    def of(quick, rounds):
        if quick:
            return Plan(True, rounds or 1, 1, 1, 2000, 0.5, 1.0, 10, 10, 3000,
                        10)
        return Plan(False, rounds or 5, 2, 4, 10_000, 3.0, 10.0, 250, 100,
                    20_000, 50)
