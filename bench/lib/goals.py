# SPDX-License-Identifier: Apache-2.0
"""What is to be reached, by figure: the goal and the moonshot."""
from dataclasses import dataclass
from typing import Optional

SUBJECT = "nodeward"


@dataclass(frozen=True)
class Goal:
    scenario: str
    metric: str
    basis: str  # "sidecar" or "direct": a ratio to it; "figure": as it stands
    at_least: bool
    goal: float
    moonshot: Optional[float] = None

    def value(self, row):
        if self.basis == "figure":
            return row["median"]
        return row[f"ratio_to_{self.basis}"]

    def reached(self, value, bound):
        return value >= bound if self.at_least else value <= bound

    def bound_text(self, bound, unit, sidecar):
        """The bound for people; `sidecar`: what the sidecar's name is."""
        if bound is None:
            return ""
        sign = "≥" if self.at_least else "≤"
        if self.basis == "figure":
            return f"{sign} {bound:g} {unit}".rstrip()
        return f"{sign} {bound:g} × {self.base(sidecar)}"

    def base(self, sidecar):
        return sidecar if self.basis == "sidecar" else self.basis


def _sidecar(scenario, metric, at_least, goal, moonshot=None):
    return Goal(scenario, metric, "sidecar", at_least, goal, moonshot)


def _figure(scenario, metric, goal, moonshot=None):
    return Goal(scenario, metric, "figure", False, goal, moonshot)


def _pods(count):
    return _figure(f"pods-{count}", "memory", 20 + 0.06 * count,
                   12 + 0.03 * count)


GOALS = (
    _sidecar("bulk-1", "up", True, 1.2, 1.4),
    _sidecar("bulk-1", "down", True, 1.2, 1.4),
    _sidecar("bulk-1", "cpu up", False, 0.8, 0.7),
    _sidecar("bulk-1", "cpu down", False, 0.8, 0.7),
    _sidecar("bulk-8", "up", True, 1.2, 1.4),
    _sidecar("bulk-8", "down", True, 1.2, 1.4),
    _sidecar("pingpong-1", "added p50", False, 0.8, 0.6),
    _sidecar("pingpong-1", "p99", False, 0.9),
    _sidecar("pingpong-256", "rate", True, 1.3, 1.6),
    _sidecar("connections", "rate", True, 5, 7),
    _sidecar("http", "rate", True, 1.3, 1.6),
    _sidecar("http-aware", "rate", True, 1.3, 1.6),
    _figure("idle-connections", "memory each", 5, 2.5),
    *[_pods(count) for count in (1, 10, 50, 250)],
    *[_figure(f"pods-{count}", "cpu at rest", 0.1)
      for count in (1, 10, 50, 250)],
    _figure("enrolment", "p50", 100, 20),
    _figure("enrolment", "p99", 100, 20),
    Goal("outside", "up", "direct", True, 0.98),
    Goal("outside", "down", "direct", True, 0.98),
    _figure("outside", "added connect", 3, 1),
    *[_figure(f"workloads-{count}", "memory each", 1, 0.4)
      for count in (1000, 10000)],
    *[_figure(f"workloads-{count}", "effect p50", 50, 5)
      for count in (1000, 10000)],
)


@dataclass(frozen=True)
class Verdict:
    goal: Goal
    row: dict
    value: float
    word: str  # "moonshot", "reached" or "missed"


def verdicts(rows):
    """One for every goal whose figure was measured for nodeward."""
    found = {(row["scenario"], row["metric"]): row for row in rows
             if row["system"] == SUBJECT}
    judged = []
    for goal in GOALS:
        row = found.get((goal.scenario, goal.metric))
        value = goal.value(row) if row else None
        if value is None:
            continue
        word = "missed"
        if goal.reached(value, goal.goal):
            word = "reached"
        if goal.moonshot is not None and goal.reached(value, goal.moonshot):
            word = "moonshot"
        judged.append(Verdict(goal, row, value, word))
    return judged
